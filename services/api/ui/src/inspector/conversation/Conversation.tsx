/** What both sides said, in the order in which they could read it. */

import { useVirtualizer } from "@tanstack/react-virtual";
import { useCallback, useEffect, useMemo, useReducer, useRef } from "react";

import { useCommands } from "../../keys/useCommands";
import { go } from "../../view/useView";
import { useMatches, usePatterns } from "../matches/useMatches";
import { codingsOf, useMessages } from "../messages/useMessages";
import { useSource } from "../picked";
import { useShown } from "../profile";
import { Reading } from "../Reading";
import { Trouble } from "../Trouble";
import { directionOf } from "../sides";
import { DEFAULT_DECODER } from "../transforms";
import type { Row } from "../useStream";
import { ItemView } from "./ItemView";
import { heightOf, itemsOf } from "./items";
import { look, LOOK, shownOf } from "./look";
import { placesOf, stepFrom } from "./places";
import { octetsIn, turnAt, type Turn } from "./turns";
import { useArrival } from "./useArrival";
import { useConversation } from "./useConversation";
import "./conversation.css";

const OVERSCAN = 4;
const NO_TURNS: never[] = [];

export function Conversation({ id, row }: { id: string; row: Row | undefined }) {
  const view = useShown();
  const { mode, decoder, dir, at } = view;
  const conversation = useConversation(id);
  const { data: talk, error, isPending, failureReason, more, moreFailed, refetch } = conversation;
  const [state, dispatch] = useReducer(look, LOOK);
  const turns = talk?.turns ?? NO_TURNS;
  const items = useMemo(
    () => (talk ? itemsOf(talk, state, mode, decoder !== "") : []),
    [talk, state, mode, decoder],
  );

  const { data: found } = useMatches(id, talk !== undefined && (row?.match_count ?? 0) > 0);
  const patterns = usePatterns();
  const speaksHttp = turns.some((turn) => turn.message?.protocol === "http1");
  const { messages } = useMessages(id, speaksHttp);
  const codings = useMemo(
    () => new Map(messages.map((message) => [message.message_id, codingsOf(message)])),
    [messages],
  );

  const scroller = useRef<HTMLDivElement>(null);
  // its functions change what they answer without changing themselves: nothing here is memoized by them
  // eslint-disable-next-line react-hooks/incompatible-library
  const virtual = useVirtualizer({
    count: items.length,
    getScrollElement: () => scroller.current,
    estimateSize: (index) => heightOf(items[index], mode),
    getItemKey: (index) => items[index]?.key ?? index,
    overscan: OVERSCAN,
  });
  const scrollTo = useCallback(
    (index: number) => virtual.scrollToIndex(index, { align: "auto" }),
    [virtual],
  );
  const ready = talk !== undefined && row !== undefined;
  const lost = useArrival({ ready, view, talk, state, items, scroller, more, dispatch, scrollTo });
  const inSight = virtual.getVirtualItems();

  const lastInSight = items[inSight.at(-1)?.index ?? -1];
  const last = turns.at(-1);
  const lastIsCut = last !== undefined && shownOf(state, last).to < last.end;
  const atEnd = lastInSight?.kind === "end" && !lastIsCut && moreFailed === null;
  useEffect(() => {
    if (atEnd) void more();
  }, [atEnd, more, talk]);

  const currentIndex = dir === null || at === null ? -1 : turnAt(turns, dir, at);
  const turnsInSight = inSight.flatMap(({ index }) => {
    const item = items[index];
    return item === undefined || item.kind === "end" ? [] : [item.turn];
  });
  const preferred = view.side && row ? directionOf(row, view.side) : null;
  const current =
    turns[currentIndex] ??
    turnsInSight.find(({ direction }) => direction === preferred) ??
    turnsInSight[0];
  useSource(
    useCallback(() => {
      if (current === undefined || current.gap) return null;
      const { direction, start, end } = current;
      return {
        octets: octetsIn(current, start, end),
        origin: { direction, start },
        clipped: false,
      };
    }, [current]),
  );

  const step = (by: 1 | -1) => {
    const place = stepFrom(placesOf(turns, messages), { direction: dir, at }, by);
    if (place) go({ dir: place.direction, at: place.at, len: null, match: null });
  };
  useCommands({
    "message.next": () => step(1),
    "message.previous": () => step(-1),
    "look.raw": () => {
      dispatch({ kind: "unswap" });
      go({ decoder: decoder === "" ? DEFAULT_DECODER : "" });
    },
    "inspector.open": () => scroller.current?.focus(),
  });

  if (isPending || row === undefined) {
    if (error && !talk) return <Trouble error={error} what="the conversation" />;
    return <Reading failure={failureReason} />;
  }
  if (error && !talk)
    return <Trouble error={error} what="the conversation" again={() => void refetch()} />;
  return (
    <>
      {(error ?? moreFailed) !== null && (
        <Trouble error={error ?? moreFailed} what="the rest" again={() => void refetch()} />
      )}
      {lost && (
        <p className="note warning">
          The linked bytes are not here.{" "}
          <button type="button" onClick={() => go({ tab: "raw" })}>
            look there in Raw
          </button>
        </p>
      )}
      {turns.every((turn) => turn.gap) && <p className="note muted">{emptyNote(row, turns)}</p>}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it scrolls */}
      <div className="turns" ref={scroller} tabIndex={0} role="group" aria-label="turns">
        <div className="turns-all" style={{ height: virtual.getTotalSize() }}>
          {inSight.map((each) => {
            const item = items[each.index];
            return (
              item && (
                <div
                  key={each.key}
                  ref={virtual.measureElement}
                  data-index={each.index}
                  className="turns-item"
                  style={{ transform: `translateY(${each.start}px)` }}
                >
                  <ItemView
                    id={id}
                    row={row}
                    item={item}
                    view={view}
                    current={item.kind !== "end" && item.turn === turns[currentIndex]}
                    found={found}
                    patterns={patterns}
                    codings={codings}
                    dispatch={dispatch}
                    more={more}
                  />
                </div>
              )
            );
          })}
        </div>
      </div>
    </>
  );
}

function emptyNote(row: Row, turns: readonly Turn[]): string {
  if (turns.length > 0) return "Nothing of what was said is retained.";
  if (row.status === "attempt") return "Nobody answered: there is no payload.";
  return "No payload was captured.";
}
