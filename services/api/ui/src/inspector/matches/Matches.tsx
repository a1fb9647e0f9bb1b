/** Where patterns were found in the stream. */

import { useVirtualizer } from "@tanstack/react-virtual";
import { useCallback, useEffect, useRef } from "react";

import { formatCount, formatDuration } from "../../format/numbers";
import { visibleLine } from "../../format/visible";
import { useCommands } from "../../keys/useCommands";
import { go, useViewOf } from "../../view/useView";
import { fromBase64 } from "../octets/base64";
import { toHex } from "../octets/hex";
import { useSource } from "../picked";
import { ARROW, hexOffset, LETTER, sideOf } from "../sides";
import { Reading } from "../Reading";
import { Trouble } from "../Trouble";
import type { Row } from "../useStream";
import { goToMatch } from "./goToMatch";
import { useMatches, usePatterns, type Match } from "./useMatches";
import "./matches.css";

const ROW_HEIGHT = 22;
const TEXT_MAX = 160;
const HEX_MAX = 32;

export function Matches({ row }: { row: Row }) {
  const current = useViewOf("match");
  const { found, error, isLoading, failureReason, refetch } = useMatches(
    row.stream_id_hex,
    row.match_count > 0,
  );
  const patterns = usePatterns();
  const scroller = useRef<HTMLDivElement>(null);
  // eslint-disable-next-line react-hooks/incompatible-library -- nothing here is memoized by it
  const virtual = useVirtualizer({
    count: found.matches.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 8,
  });
  useEffect(() => {
    if (current !== null && current < found.matches.length)
      virtual.scrollToIndex(current, { align: "auto" });
  }, [current, found.matches.length, virtual]);
  useSource(
    useCallback(() => {
      const match = found.matches[current ?? 0];
      if (match === undefined) return null;
      const { direction, start, base64 } = match;
      return { octets: fromBase64(base64), origin: { direction, start }, clipped: false };
    }, [found, current]),
  );
  useCommands({
    "message.next": () => goToMatch(found.matches, current === null ? 0 : current + 1),
    "message.previous": () => goToMatch(found.matches, Math.max(0, (current ?? 0) - 1)),
    "inspector.open": () => scroller.current?.focus(),
  });

  if (error) return <Trouble error={error} what="the matches" again={() => void refetch()} />;
  if (isLoading) return <Reading failure={failureReason} />;
  if (found.matches.length === 0) return <p className="note muted">No pattern matches here.</p>;
  return (
    <>
      {found.total > found.matches.length && (
        <p className="note warning">
          the first {formatCount(found.matches.length)} of {formatCount(found.total)}
        </p>
      )}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it scrolls */}
      <div className="matches" ref={scroller} tabIndex={0} role="group" aria-label="matches">
        <div className="turns-all" style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map(({ index, start }) => {
            const match = found.matches[index];
            return (
              match && (
                <button
                  key={index}
                  type="button"
                  className="plain match"
                  aria-current={index === current}
                  style={{ transform: `translateY(${start}px)` }}
                  title="to its place in the conversation"
                  onClick={() => {
                    goToMatch(found.matches, index);
                    go({ tab: "conversation" });
                  }}
                >
                  <MatchLine
                    match={match}
                    row={row}
                    color={patterns.get(match.pattern_id)?.color ?? ""}
                  />
                </button>
              )
            );
          })}
        </div>
      </div>
    </>
  );
}

function MatchLine({ match, row, color }: { match: Match; row: Row; color: string }) {
  const side = sideOf(row, match.direction);
  const text = match.text?.slice(0, TEXT_MAX);
  return (
    <>
      <span className={`mono ${side}`}>
        {ARROW[side]} {LETTER[side]} {hexOffset(match.start)}
      </span>
      <span className="muted time">+{formatDuration(match.ts_us - row.first_seen_us)}</span>
      <span className="pattern">
        <span className="dot" style={color ? { background: color } : undefined} />
        <bdi>{visibleLine(match.pattern_name || `pattern ${match.pattern_id}`)}</bdi>
      </span>
      <span className="muted">{formatCount(match.end - match.start)} B</span>
      <span className="mono text">
        {match.base64 === "" ? (
          <i className="muted">its bytes are evicted</i>
        ) : (
          <mark className="hit">
            <bdi>
              {text !== undefined
                ? visibleLine(text)
                : toHex(fromBase64(match.base64).subarray(0, HEX_MAX))}
            </bdi>
          </mark>
        )}
      </span>
    </>
  );
}
