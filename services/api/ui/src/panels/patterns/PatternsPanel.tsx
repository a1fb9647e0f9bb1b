/** What is looked for in content, for everybody. */

import { useQuery } from "@tanstack/react-query";

import type { Pattern } from "../../api/client";
import { patternsQuery } from "../../api/queries";
import { formatCount } from "../../format/numbers";
import { useEditing } from "../useEditing";
import { TeamTable } from "../TeamTable";
import { PatternForm } from "./PatternForm";
import { PatternRow } from "./PatternRow";

const POLL_MS = 1000; // how far a pattern is, no change tells

const COLUMNS = [
  "name",
  "kind",
  "value",
  "whose bytes",
  "services",
  "state",
  { number: "matches" },
];

const NOTHING =
  "Nothing is looked for yet. A pattern finds text, a regular expression or bytes in all that is " +
  "retained, and in all that comes.";

export function PatternsPanel() {
  const { data, error } = useQuery({ ...patternsQuery(), refetchInterval: POLL_MS });
  const { editing, edit, stop } = useEditing<Pattern | "new">();
  const patterns = data?.patterns ?? [];
  const matches = patterns.reduce((sum, pattern) => sum + pattern.status.matches, 0);
  const edited = editing === "new" ? null : editing;
  return (
    <>
      <div className="toolbar">
        <span className="grow" aria-live="polite">
          {`${formatCount(patterns.length)} patterns, ${formatCount(matches)} matches`}
          <span className="muted"> · everybody sees the same; changes hold at once</span>
        </span>
        <button type="button" data-first onClick={() => edit("new")}>
          add a pattern
        </button>
      </div>
      {editing !== null && (
        <PatternForm
          key={edited?.id ?? "new"}
          pattern={edited}
          now={patterns.find((pattern) => pattern.id === edited?.id) ?? null}
          onDone={stop}
        />
      )}
      <TeamTable columns={COLUMNS} error={error} empty={data && patterns.length === 0 && NOTHING}>
        {patterns.map((pattern) => (
          <PatternRow
            key={pattern.id}
            pattern={pattern}
            all={patterns}
            onEdit={() => edit(pattern)}
          />
        ))}
      </TeamTable>
    </>
  );
}
