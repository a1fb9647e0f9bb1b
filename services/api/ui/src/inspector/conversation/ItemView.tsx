/** One item of the conversation. */

import { memo, useMemo, type Dispatch } from "react";

import { formatBytes, formatCount } from "../../format/numbers";
import { go } from "../../view/useView";
import type { FoundMatches, PatternLook } from "../matches/useMatches";
import { OctetView } from "../octets/OctetView";
import type { Shown } from "../profile";
import { ARROW, hexOffset, LETTER, sideOf, type Side } from "../sides";
import { DEFAULT_DECODER } from "../transforms";
import type { Row } from "../useStream";
import { DecodedTurn } from "./DecodedTurn";
import type { Item } from "./items";
import type { LookAction } from "./look";
import { marksOf, placeIn } from "./marks";
import { TurnHead } from "./TurnHead";
import { octetsIn, type Turn } from "./turns";
import { useDecoded } from "./useDecoded";

interface Props {
  id: string;
  row: Row;
  item: Item;
  view: Shown;
  current: boolean;
  found: FoundMatches | undefined;
  patterns: ReadonlyMap<number, PatternLook>;
  codings: ReadonlyMap<string, string[]>;
  dispatch: Dispatch<LookAction>;
  more: () => Promise<void>;
}

const NO_CODINGS: string[] = [];

export const ItemView = memo(function ItemView(props: Props) {
  const { item, dispatch, more } = props;
  switch (item.kind) {
    case "head":
      return <Head {...props} turn={item.turn} decoded={item.decoded} />;
    case "octets":
      return <Octets {...props} turn={item.turn} start={item.start} end={item.end} />;
    case "decoded":
      return <Decoded {...props} turn={item.turn} />;
    case "gap":
      return <Gap turn={item.turn} side={sideOf(props.row, item.turn.direction)} />;
    case "before":
    case "more":
      return (
        <button
          type="button"
          className="small show-more"
          onClick={() => dispatch({ kind: item.kind, turn: item.turn })}
        >
          show 64 kB {item.kind} · {formatBytes(item.octets)} {item.kind === "more" ? "left" : ""}
        </button>
      );
    case "end":
      return (
        <button type="button" className="small show-more" onClick={() => void more()}>
          read on
        </button>
      );
  }
});

function Gap({ turn, side }: { turn: Turn; side: Side }) {
  return (
    <div className="gap" title="lost in the capture, or trimmed or evicted since">
      <span>
        <span className={`mono ${side}`}>
          {ARROW[side]} {LETTER[side]} {hexOffset(turn.start)}
        </span>{" "}
        missing {formatCount(turn.end - turn.start)} bytes
      </span>
    </div>
  );
}

type OfTurn = Props & { turn: Turn };

function Head({
  id,
  row,
  turn,
  decoded,
  view,
  current,
  codings,
  dispatch,
}: OfTurn & { decoded: boolean }) {
  const { data } = useDecoded(id, turn, view.decoder || DEFAULT_DECODER, decoded);
  return (
    <TurnHead
      turn={turn}
      side={sideOf(row, turn.direction)}
      current={current}
      decoded={decoded}
      codings={codings.get(turn.message?.message_id ?? "") ?? NO_CODINGS}
      steps={data?.steps}
      onSelect={() => go({ dir: turn.direction, at: turn.start, len: null, match: null })}
      onSwap={() => dispatch({ kind: "swap", turn })}
    />
  );
}

function Octets({
  row,
  turn,
  start,
  end,
  view,
  current,
  found,
  patterns,
}: OfTurn & { start: number; end: number }) {
  const octets = useMemo(() => octetsIn(turn, start, end), [turn, start, end]);
  const marks = useMarks(turn, found, view);
  const origin = useMemo(() => ({ direction: turn.direction, start }), [turn.direction, start]);
  return (
    <div className={`said ${sideOf(row, turn.direction)}`} data-current={current}>
      <OctetView
        octets={octets}
        mode={view.mode}
        origin={origin}
        group={turn.key}
        marks={marks}
        patterns={patterns}
      />
    </div>
  );
}

function Decoded({ id, row, turn, view, current, found, patterns }: OfTurn) {
  const marks = useMarks(turn, found, view);
  return (
    <div className={`said ${sideOf(row, turn.direction)}`} data-current={current}>
      <DecodedTurn
        id={id}
        turn={turn}
        decoder={view.decoder || DEFAULT_DECODER}
        mode={view.mode}
        marks={marks}
        patterns={patterns}
      />
    </div>
  );
}

function useMarks(turn: Turn, found: FoundMatches | undefined, view: Shown) {
  return useMemo(() => marksOf(turn, found, placeIn(view, turn.direction)), [turn, found, view]);
}
