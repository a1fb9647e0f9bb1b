/** The line above a turn: who, where, when, how much, and what it is. */

import { formatBytes, formatCount, formatDateTime, formatDuration } from "../../format/numbers";
import { visibleLine } from "../../format/visible";
import { ARROW, hexOffset, LETTER, type Side } from "../sides";
import { Steps } from "./Steps";
import type { Turn } from "./turns";
import type { Step } from "./useDecoded";

interface Props {
  turn: Turn;
  side: Side;
  current: boolean;
  decoded: boolean;
  /** Codings of its message, outermost first: what there is to decode. */
  codings: readonly string[];
  steps: readonly Step[] | undefined;
  onSelect: () => void;
  onSwap: () => void;
}

const SUMMARY_MAX = 300;

export function TurnHead(props: Props) {
  const { turn, side, current, decoded, codings, steps, onSelect, onSwap } = props;
  const { message } = turn;
  return (
    <div className={`turn-head ${side}`} data-current={current}>
      <button
        type="button"
        className="plain place"
        onClick={onSelect}
        aria-current={current}
        title={`${side}, offset ${formatCount(turn.start)}: make it the current one`}
      >
        {ARROW[side]} {LETTER[side]} {hexOffset(turn.start)}
      </button>
      <span className="muted delta" title={formatDateTime(turn.ts_us)}>
        +{formatDuration(turn.delta_us)}
      </span>
      <span
        className="muted"
        title={`${formatCount(turn.end - turn.start)} bytes${turn.continues ? " so far" : ""}`}
      >
        {turn.continues && "≥ "}
        {formatBytes(turn.end - turn.start)}
      </span>
      {message && (
        <bdi className="summary">{visibleLine(message.summary.slice(0, SUMMARY_MAX))}</bdi>
      )}
      {turn.message_count > 1 && (
        <span className="muted">and {formatCount(turn.message_count - 1)} more</span>
      )}
      {message && message.status !== "complete" && (
        <span className="warning">
          {message.status === "parse_error" ? "not understood" : "partial"}
          {message.note && `: ${message.note.replaceAll("_", " ")}`}
        </span>
      )}
      <span className="fill" />
      <Codings codings={codings} />
      {decoded && steps && <Steps steps={steps} />}
      <button
        type="button"
        className="small"
        aria-pressed={decoded}
        onClick={onSwap}
        title="the bytes as sent, or decoded (all turns: Shift+M)"
      >
        {decoded ? "raw" : "decode"}
      </button>
    </div>
  );
}

function Codings({ codings }: { codings: readonly string[] }) {
  if (codings.length === 0) return null;
  return <span className="steps muted">[{codings.map(visibleLine).join(" → ")}]</span>;
}
