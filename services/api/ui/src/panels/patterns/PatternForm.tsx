/** A pattern that is added or changed; what is wrong with its value is shown where it is. */

import { useEffect, useId, useRef, useState, type SubmitEvent } from "react";

import type { Pattern, Schemas } from "../../api/client";
import { keys } from "../../api/keys";
import { useTeamChange } from "../../api/useTeamChange";
import { useCommands } from "../../keys/useCommands";
import { changesOf } from "../changes";
import { FaultLine } from "../fields/FaultLine";
import { faultOf } from "../fields/fault";
import { ServicesField } from "../fields/ServicesField";

type Draft = Required<Schemas["NewPattern"]>;

interface Props {
  /** As it was when editing began; null for a new one. */
  pattern: Pattern | null;
  /** As it is now; null when there is none, or none any more. */
  now: Pattern | null;
  onDone: () => void;
}

const EXAMPLES = {
  substring: "FLAG_",
  regex: "(?i)flag\\{[0-9a-f]{32}\\}",
  binary: "7f 45 4c 46",
};

export function PatternForm({ pattern, now, onDone }: Props) {
  const [draft, setDraft] = useState<Draft>(() => draftOf(pattern));
  const change = useTeamChange(keys.patterns, { quiet: true });
  const value = useRef<HTMLInputElement>(null);
  const faultId = useId();
  useCommands({ back: onDone });
  useEffect(() => value.current?.focus(), []);
  const put = (more: Partial<Draft>) => setDraft((before) => ({ ...before, ...more }));
  const [sent, setSent] = useState({ kind: "", value: "" });

  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    setSent({ kind: draft.kind, value: draft.value });
    const json = pattern ? changesOf(draftOf(pattern), draft) : draft;
    change.mutate(
      pattern
        ? { method: "PATCH", path: `/api/patterns/${pattern.id}`, json }
        : { method: "POST", path: "/api/patterns", json },
      {
        onSuccess: onDone,
        onError: (error) => {
          const fault = faultOf(error, draft.kind, draft.value);
          value.current?.focus();
          if (fault) value.current?.setSelectionRange(fault.at, fault.at + fault.bad.length);
        },
      },
    );
  };
  return (
    <form className="form" onSubmit={submit}>
      <h3 className="wide">{pattern ? "change the pattern" : "look for"}</h3>
      <label>
        kind
        <select
          value={draft.kind}
          onChange={(event) => put({ kind: event.target.value as Draft["kind"] })}
        >
          <option value="substring">substring: text</option>
          <option value="regex">regex: over bytes</option>
          <option value="binary">binary: hexadecimal</option>
        </select>
      </label>
      <label className="wide">
        value
        <input
          ref={value}
          className="mono"
          required
          maxLength={4096}
          spellCheck={false}
          autoComplete="off"
          placeholder={EXAMPLES[draft.kind]}
          value={draft.value}
          aria-invalid={change.isError}
          aria-describedby={faultId}
          onChange={(event) => put({ value: event.target.value })}
        />
      </label>
      <FaultLine id={faultId} error={change.error} {...sent} />
      <label>
        name
        <input
          maxLength={128}
          placeholder="as the value"
          value={draft.name}
          onChange={(event) => put({ name: event.target.value })}
        />
      </label>
      <label>
        whose bytes
        <select
          value={draft.direction}
          onChange={(event) => put({ direction: event.target.value as Draft["direction"] })}
        >
          <option value="any">both</option>
          <option value="client">of the client</option>
          <option value="server">of the server</option>
        </select>
      </label>
      <fieldset>
        <legend>colour</legend>
        <div className="toolbar">
          <input
            type="color"
            aria-label="colour"
            value={draft.color || "#808080"}
            onChange={(event) => put({ color: event.target.value })}
          />
          <button type="button" disabled={draft.color === ""} onClick={() => put({ color: "" })}>
            {draft.color === "" ? "one is chosen" : "choose one"}
          </button>
        </div>
      </fieldset>
      <label className="check">
        <input
          type="checkbox"
          checked={draft.enabled}
          onChange={(event) => put({ enabled: event.target.checked })}
        />
        look for it
      </label>
      <ServicesField
        chosen={draft.services}
        onChange={(services) => put({ services: services as Draft["services"] })}
      />
      {pattern && now !== null && movedOn(pattern, now) && (
        <p className="hint wide">Somebody changed it meanwhile; only what you change is saved.</p>
      )}
      <div className="toolbar wide">
        <button type="submit" disabled={change.isPending}>
          {pattern ? "save" : "add"}
        </button>
        <button type="button" onClick={onDone}>
          cancel
        </button>
        <span className="hint">
          What is retained is looked through as well. Lower case and upper case differ, unless a
          regex begins with (?i).
        </span>
      </div>
    </form>
  );
}

function draftOf(pattern: Pattern | null): Draft {
  const { name, kind, value, color, direction, services, enabled } = pattern ?? {
    name: "",
    kind: "substring" as const,
    value: "",
    color: "",
    direction: "any" as const,
    services: [],
    enabled: true,
  };
  return { name, kind, value, color, direction, services: services as Draft["services"], enabled };
}

function movedOn(before: Pattern, now: Pattern): boolean {
  return Object.keys(changesOf(draftOf(before), draftOf(now))).length > 0;
}
