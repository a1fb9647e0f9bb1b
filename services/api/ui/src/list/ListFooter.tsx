/** How much is shown, of how much, and what is hidden. */

import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { healthQuery } from "../api/queries";
import { formatCount } from "../format/numbers";
import { withTerm } from "../view/filter";
import { useFlow } from "../view/flow";
import { currentView, go } from "../view/useView";
import type { Counts } from "./useRows";

const SPEAK_AFTER_MS = 1000;

interface Props {
  counts: Counts | null;
  hiddenShown: boolean;
  index: number | null;
  outside: boolean;
}

export function ListFooter({ counts, hiddenShown, index, outside }: Props) {
  const health = useQuery(healthQuery());
  const paused = useFlow().pausedAt !== null;
  const all = health.data?.budgets["streams"];
  const total = counts === null ? "…" : formatCount(counts.total);
  const text = `${total} of ${all === undefined ? "…" : formatCount(Math.max(all, counts?.total ?? 0))}`;
  return (
    <div className="list-footer">
      <span>{text}</span>
      {counts !== null && counts.hidden > 0 && (
        <button
          type="button"
          className="plain link"
          aria-pressed={hiddenShown}
          onClick={() => go({ q: withTerm(currentView().q, "hidden", hiddenShown ? null : "yes") })}
        >
          {formatCount(counts.hidden)} hidden{hiddenShown ? " ones shown" : ""}
        </button>
      )}
      {index !== null && <span className="muted">row {formatCount(index + 1)}</span>}
      {outside && <span className="muted">the selected stream does not pass the filter</span>}
      {paused && <span className="warning">paused: nothing here changes</span>}
      <Spoken text={counts === null ? "" : `${text} streams`} />
    </div>
  );
}

/** Counts are spoken when they have come to rest: during a run they never do. */
function Spoken({ text }: { text: string }) {
  const [spoken, setSpoken] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => setSpoken(text), SPEAK_AFTER_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <span className="spoken-only" role="status">
      {spoken}
    </span>
  );
}
