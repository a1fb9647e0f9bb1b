/** Requests and responses, as the network panel of a browser shows them. */

import { useVirtualizer } from "@tanstack/react-virtual";
import { useCallback, useEffect, useMemo, useRef } from "react";

import { formatBytes, formatCount, formatDateTime, formatDuration } from "../../format/numbers";
import { visibleLine } from "../../format/visible";
import { useCommands } from "../../keys/useCommands";
import { go, useViewOf } from "../../view/useView";
import { useSource } from "../picked";
import { ARROW, LETTER, sideOf } from "../sides";
import { Reading } from "../Reading";
import { Trouble } from "../Trouble";
import type { Row } from "../useStream";
import { readOctets } from "./body";
import { cellsOf, columnsOf, exchangeAt, exchangesOf, type Exchange } from "./exchanges";
import { ExchangeDetail } from "./ExchangeDetail";
import { useMessages } from "./useMessages";
import "./messages.css";

const ROW_HEIGHT = 22;
const TEXT_MAX = 300;

export function Messages({ row }: { row: Row }) {
  const id = row.stream_id_hex;
  const [dir, at] = [useViewOf("dir"), useViewOf("at")];
  const {
    messages,
    total,
    error,
    isPending,
    hasNextPage,
    fetchNextPage,
    isFetching,
    failureReason,
    refetch,
  } = useMessages(id, true);
  const rows = useMemo(() => exchangesOf(messages), [messages]);
  const columns = useMemo(() => columnsOf(rows), [rows]);
  const current = exchangeAt(rows, dir, at);
  const chosen = rows[current];
  const scroller = useRef<HTMLDivElement>(null);
  // eslint-disable-next-line react-hooks/incompatible-library -- nothing here is memoized by it
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 8,
  });
  const inSight = virtual.getVirtualItems();
  const lastInSight = inSight.at(-1)?.index ?? 0;
  useEffect(() => {
    if (hasNextPage && !isFetching && lastInSight >= rows.length - 20) void fetchNextPage();
  }, [hasNextPage, isFetching, lastInSight, rows.length, fetchNextPage]);
  useEffect(() => {
    if (current >= 0) virtual.scrollToIndex(current, { align: "auto" });
  }, [current, virtual]);
  useSource(
    useCallback(async () => {
      if (chosen === undefined) return null;
      const { direction, start, end } = chosen.first;
      if (end === null) return null;
      return {
        octets: await readOctets(id, direction, start, end),
        origin: { direction, start },
        clipped: false,
      };
    }, [chosen, id]),
  );
  const choose = (exchange: Exchange | undefined) => {
    if (exchange === undefined) return;
    go({ dir: exchange.first.direction, at: exchange.first.start, len: null, match: null });
  };
  useCommands({
    "message.next": () => choose(rows[current + 1]),
    "message.previous": () => choose(rows[Math.max(0, current - 1)]),
    "inspector.open": () => scroller.current?.focus(),
  });

  if (error && rows.length === 0)
    return <Trouble error={error} what="the messages" again={() => void refetch()} />;
  if (isPending) return <Reading failure={failureReason} />;
  if (rows.length === 0) return <p className="note muted">No parser found messages here.</p>;
  return (
    <>
      <div
        className="messages"
        role="grid"
        aria-label="messages"
        aria-rowcount={total}
        aria-colcount={columns.length}
      >
        <div className="message-row message-names" role="row">
          {columns.map((name) => (
            <span key={name} role="columnheader" className={`cell-${name}`}>
              {name}
            </span>
          ))}
        </div>
        {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it scrolls */}
        <div className="messages-body" ref={scroller} tabIndex={0} role="rowgroup">
          <div className="turns-all" style={{ height: virtual.getTotalSize() }}>
            {inSight.map(({ index, start }) => {
              const exchange = rows[index];
              return (
                exchange && (
                  <div
                    key={exchange.first.message_id}
                    className="message-row"
                    role="row"
                    aria-rowindex={index + 2}
                    aria-selected={index === current}
                    tabIndex={-1}
                    style={{ transform: `translateY(${start}px)` }}
                    onClick={() => choose(exchange)}
                    onKeyDown={(event) => {
                      if (event.key === "Enter") choose(exchange);
                    }}
                  >
                    <CellsView exchange={exchange} row={row} columns={columns} />
                  </div>
                )
              );
            })}
          </div>
        </div>
      </div>
      {chosen ? (
        <ExchangeDetail key={chosen.first.message_id} row={row} exchange={chosen} />
      ) : (
        <p className="note muted">{formatCount(total)} messages · choose one: l, h, or a click</p>
      )}
    </>
  );
}

interface CellsProps {
  exchange: Exchange;
  row: Row;
  columns: readonly string[];
}

function CellsView({ exchange, row, columns }: CellsProps) {
  const cells = cellsOf(exchange);
  const side = sideOf(row, exchange.first.direction);
  const text = (value: string) => <bdi>{visibleLine(value.slice(0, TEXT_MAX))}</bdi>;
  return (
    <>
      <span role="gridcell" className={`cell-from ${side}`}>
        {ARROW[side]} {LETTER[side]}
      </span>
      {columns.includes("method") && (
        <span role="gridcell" className="cell-method">
          {text(cells.method)}
        </span>
      )}
      <span role="gridcell" className="cell-target mono">
        {text(cells.target)}
      </span>
      <span role="gridcell" className={`cell-status ${cells.bad ? "warning" : ""}`}>
        {cells.bad && cells.status !== "" && "⚠ "}
        {text(cells.status)}
      </span>
      {columns.includes("type") && (
        <span role="gridcell" className="cell-type muted">
          {text(cells.type)}
        </span>
      )}
      <span role="gridcell" className="cell-length">
        {cells.octets === null ? "open" : formatBytes(cells.octets)}
      </span>
      <span role="gridcell" className="cell-at muted" title={formatDateTime(exchange.first.ts_us)}>
        +{formatDuration(exchange.first.ts_us - row.first_seen_us)}
      </span>
      <span role="gridcell" className="cell-took muted">
        {cells.took_us === null ? "" : formatDuration(cells.took_us)}
      </span>
    </>
  );
}
