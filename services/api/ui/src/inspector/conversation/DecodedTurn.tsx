/** A turn's bytes behind decoders. What they could not do leaves the bytes as they were sent. */

import { useMemo, useState } from "react";

import { formatBytes } from "../../format/numbers";
import type { Mode } from "../../view/view";
import type { PatternLook } from "../matches/useMatches";
import { OctetView } from "../octets/OctetView";
import type { Mark } from "../octets/spans";
import { Trouble } from "../Trouble";
import { CUT_OCTETS } from "./look";
import { noteOf } from "./Steps";
import { octetsIn, type Turn } from "./turns";
import { headEnd, isDecoded, useDecoded } from "./useDecoded";

interface Props {
  id: string;
  turn: Turn;
  decoder: string;
  mode: Mode;
  marks: readonly Mark[];
  patterns: ReadonlyMap<number, PatternLook>;
}

/** What gives bodies and payloads alone, without the head that is in the turn. */
const BODY_ONLY: ReadonlySet<string> = new Set(["http_body", "websocket"]);

export function DecodedTurn({ id, turn, decoder, mode, marks, patterns }: Props) {
  const { data, error, isPending } = useDecoded(id, turn, decoder);
  const [shown, setShown] = useState(CUT_OCTETS / 4);
  // of an HTTP message only the body is decoded: its head stays where it is, as sent
  const head = useMemo(() => {
    const first = octetsIn(turn, turn.start, Math.min(turn.end, turn.start + CUT_OCTETS));
    const ofHttp = turn.message?.protocol === "http1" && turn.message.start === turn.start;
    return first.subarray(0, ofHttp ? headEnd(first) : 0);
  }, [turn]);
  const raw = useMemo(() => octetsIn(turn, turn.start, turn.start + CUT_OCTETS), [turn]);
  const origin = useMemo(
    () => ({ direction: turn.direction, start: turn.start }),
    [turn.direction, turn.start],
  );
  const octets = useMemo(() => data?.octets.subarray(0, shown), [data, shown]);
  if (isPending) return <p className="note muted">decoding…</p>;
  if (error) return <Trouble error={error} what="the decoded bytes" />;
  const common = { mode, patterns, group: `${turn.key}:decoded` };
  const notes = data.steps.filter(
    (step) => step.note && (step.status === "failed" || step.status === "partial"),
  );
  const bodyOnly = BODY_ONLY.has(data.steps[0]?.name ?? "") && isDecoded(data) && head.length > 0;
  return (
    <div className="decoded">
      {notes.map((step, i) => (
        <p key={i} className="note warning">
          {step.name}: <bdi>{noteOf(step)}</bdi>
        </p>
      ))}
      {!isDecoded(data) && <OctetView {...common} octets={raw} origin={origin} marks={marks} />}
      {bodyOnly && <OctetView {...common} octets={head} origin={origin} marks={marks} />}
      {isDecoded(data) && octets && (
        <OctetView {...common} group={`${common.group}:body`} octets={octets} origin={null} />
      )}
      {isDecoded(data) && data.octets.length > shown && (
        <button type="button" className="small" onClick={() => setShown(shown + CUT_OCTETS)}>
          show 64 kB more · {formatBytes(data.octets.length - shown)} left
        </button>
      )}
      {data.limited && (
        <p className="note warning">there is more than the server decodes of one place</p>
      )}
    </div>
  );
}
