/** What is left out of the list while a profile is selected. */

import type { Pattern } from "../../api/client";
import { HidingField, type Hiding } from "../fields/HidingField";

interface Props {
  rules: readonly Hiding[];
  patterns: readonly Pattern[];
  onChange: (rules: Hiding[]) => void;
}

export function HidingList({ rules, patterns, onChange }: Props) {
  return (
    <fieldset className="wide">
      <legend>left out while it is selected</legend>
      {rules.map((rule, at) => (
        <div className="toolbar" key={at}>
          <HidingField
            hiding={rule}
            patterns={patterns}
            onChange={(changed) => onChange(rules.with(at, changed))}
          />
          <button type="button" onClick={() => onChange(rules.toSpliced(at, 1))}>
            take out
          </button>
        </div>
      ))}
      <div>
        <button
          type="button"
          onClick={() => onChange([...rules, { kind: "status", value: "" }])}
          disabled={rules.length >= 32}
        >
          leave something out
        </button>
      </div>
    </fieldset>
  );
}
