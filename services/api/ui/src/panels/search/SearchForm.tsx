/** What is looked for, and in which streams. */

import { useId, useState, type SubmitEvent } from "react";

import { visibleLine } from "../../format/visible";
import type { Filter } from "../../view/filter";
import type { Looked } from "../../view/find";
import { useViewOf } from "../../view/useView";
import { FaultLine } from "../fields/FaultLine";

interface Props {
  looked: Looked | null;
  filter: Filter;
  /** The page's filter does not count. */
  everywhere: boolean;
  onEverywhere: (everywhere: boolean) => void;
  busy: boolean;
  error: unknown;
  onStart: (looked: Looked) => void;
}

const NEW: Looked = { direction: "any", kind: "substring", value: "" };

export function SearchForm(props: Props) {
  const { looked, filter, everywhere, onEverywhere, busy, error, onStart } = props;
  const q = useViewOf("q");
  const [draft, setDraft] = useState(looked ?? NEW);
  const [sent, setSent] = useState(draft);
  const faultId = useId();
  const put = (more: Partial<Looked>) => setDraft((before) => ({ ...before, ...more }));
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    setSent(draft);
    onStart(draft);
  };
  const filtered = Object.keys(filter.params).length > 0;
  return (
    <form className="search-form" role="search" onSubmit={submit}>
      <div className="toolbar">
        <select
          aria-label="kind"
          value={draft.kind}
          onChange={(event) => put({ kind: event.target.value as Looked["kind"] })}
        >
          <option value="substring">text</option>
          <option value="regex">regex</option>
          <option value="binary">hex</option>
        </select>
        <input
          className="mono grow"
          aria-label="what to look for"
          aria-invalid={Boolean(error)}
          aria-describedby={faultId}
          data-first
          required
          maxLength={4000}
          spellCheck={false}
          autoComplete="off"
          placeholder={PLACEHOLDERS[draft.kind]}
          value={draft.value}
          onChange={(event) => put({ value: event.target.value })}
        />
        <select
          aria-label="whose bytes"
          value={draft.direction}
          onChange={(event) => put({ direction: event.target.value as Looked["direction"] })}
        >
          <option value="any">both directions</option>
          <option value="client">of the client</option>
          <option value="server">of the server</option>
        </select>
        <button type="submit" disabled={busy}>
          search
        </button>
      </div>
      <FaultLine id={faultId} error={error} kind={sent.kind} value={sent.value} />
      <div className="toolbar hint">
        {filtered && !everywhere ? (
          <span>
            in streams that pass <bdi className="mono">{visibleLine(q)}</bdi>
            {filter.faults.length > 0 && (
              <span className="warning"> (terms with a fault do not count)</span>
            )}
          </span>
        ) : (
          <span>in everything that is retained</span>
        )}
        {filtered && (
          <label className="panel-check">
            <input
              type="checkbox"
              checked={everywhere}
              onChange={(event) => onEverywhere(event.target.checked)}
            />
            everywhere
          </label>
        )}
      </div>
    </form>
  );
}

const PLACEHOLDERS = {
  substring: "FLAG_, as it was sent",
  regex: "(?i)flag\\{\\w+\\}",
  binary: "50 4b 03 04",
};
