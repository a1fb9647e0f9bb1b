/** A decode chain: each step, and how it went. */

import { formatBytes } from "../../format/numbers";
import { visibleLine } from "../../format/visible";
import type { Step } from "./useDecoded";

const GLYPH: Record<Step["status"], string> = {
  applied: "✓",
  noop: "–",
  partial: "◐",
  failed: "✗",
};
const WORDS: Record<Step["status"], string> = {
  applied: "",
  noop: "",
  partial: ": only in part",
  failed: ": failed",
};
const NOTE_MAX = 200;

export function Steps({ steps }: { steps: readonly Step[] }) {
  return (
    <span className="steps">
      {steps.map((step, i) => (
        <span key={i} className="step" data-status={step.status} title={titleOf(step)}>
          {i > 0 && "→ "}
          {GLYPH[step.status]} {step.name}
          {WORDS[step.status]}
        </span>
      ))}
    </span>
  );
}

function titleOf(step: Step): string {
  const sizes = `${formatBytes(step.input_bytes)} → ${formatBytes(step.output_bytes)}`;
  return `${step.name}: ${step.status}, ${sizes}${step.note ? `: ${noteOf(step)}` : ""}`;
}

/** What the server says of a step, safe to show. */
export function noteOf(step: Step): string {
  return visibleLine(step.note.slice(0, NOTE_MAX));
}
