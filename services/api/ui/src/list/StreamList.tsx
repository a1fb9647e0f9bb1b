/** The streams that pass the filter, as a grid of which only what is seen is drawn. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState, type MouseEvent } from "react";

import { useStreamActions } from "../actions/useStreamActions";
import { patternsQuery } from "../api/queries";
import { formatCount } from "../format/numbers";
import { expectConversation } from "../inspector/conversation/useConversation";
import { flow, useFlow } from "../view/flow";
import { useFilter } from "../view/useFilter";
import { currentView, go, useViewOf } from "../view/useView";
import { useDealt } from "./dealing";
import { ListFooter } from "./ListFooter";
import { ListState } from "./ListState";
import { ReconnectLine } from "./ReconnectLine";
import { StreamRow } from "./StreamRow";
import { useListCommands } from "./useListCommands";
import { useRows, type Rows } from "./useRows";
import { useRowWindow } from "./useRowWindow";
import { selectStream, useSelection } from "./useSelection";
import "./list.css";

const COLUMNS = [
  ["c-star", "★", "favourite"],
  ["c-time", "time", "when it began"],
  ["c-service", "svc", "service"],
  ["c-ends", "client → server", "who talks to whom"],
  ["c-summary", "summary", "its first line"],
  ["c-up", "sent", "bytes that the client sent"],
  ["c-down", "recv", "bytes that the server sent"],
  ["c-duration", "dur", "how long"],
  ["c-badges", "", "what is remarkable"],
] as const;

export function StreamList() {
  const [order, stream] = [useViewOf("order"), useViewOf("stream")];
  const { filter, params, ready } = useFilter();
  const { following } = useFlow();
  const listed = useMemo(() => ({ params, order }), [params, order]);
  const [count, setCount] = useState(0);
  const win = useRowWindow(count, useScrolled(order));
  const rows = useRows(listed, ready, win.first, win.last);
  if (rows.count !== count) setCount(rows.count);
  const selection = useSelection(listed, ready, rows, win);
  const grid = useRef<HTMLDivElement | null>(null);
  const { toStart, toEnd, ref } = win;
  const attach = useCallback(
    (element: HTMLDivElement | null) => {
      grid.current = element;
      ref(element);
    },
    [ref],
  );
  useListCommands({ listed, rows, win, selection });
  useEdge(following, order, rows, toStart, toEnd);
  const drawn = useDrawn(rows, win.first, win.last);
  const stop = tabStop(selection.index, win.first, win.last);
  const seen = stop === selection.index && drawn[stop - win.first]?.row !== undefined;
  useFocusFollows(grid, stream, seen);
  const { toggleFavorite } = useStreamActions();
  const patterns = useQuery(patternsQuery()).data?.patterns;
  const byId = useMemo(() => new Map(patterns?.map((each) => [each.id, each])), [patterns]);

  const client = useQueryClient();
  /** The row under the pointer, and whether it is on its star. */
  const pointedAt = (event: MouseEvent<HTMLElement>) => {
    const target = event.target as Element;
    const index = target.closest<HTMLElement>("[data-index]")?.dataset["index"];
    const row = index === undefined ? undefined : rows.at(Number(index));
    return row && { row, starred: target.closest("[data-star]") !== null };
  };
  const pressed = (event: MouseEvent<HTMLElement>) => {
    const found = pointedAt(event);
    if (found?.starred === false && currentView().tab === "conversation")
      expectConversation(client, found.row.stream_id_hex);
  };
  const clicked = (event: MouseEvent<HTMLElement>) => {
    const found = pointedAt(event);
    if (found === undefined) return;
    if (found.starred) void toggleFavorite(found.row);
    else selectStream(found.row.stream_id_hex);
  };

  const fresh = rows.counts?.fresh ?? 0;
  return (
    <main className="list" aria-label="Streams">
      <ReconnectLine
        error={rows.counts === null ? null : rows.error}
        readAt={rows.counts?.readAt}
      />
      {fresh > 0 && (
        <button type="button" className="fresh" onClick={flow.follow}>
          ▲ {formatCount(fresh)} new
        </button>
      )}
      {/* rows have the focus and the keys (see keys/registry.ts); a click is a short way to them */}
      {/* eslint-disable-next-line jsx-a11y/click-events-have-key-events */}
      <div
        ref={attach}
        className="grid"
        role="grid"
        aria-label="Streams"
        aria-rowcount={rows.counts === null ? -1 : rows.count + 1}
        aria-colcount={COLUMNS.length}
        aria-busy={rows.counts === null}
        tabIndex={rows.count === 0 ? 0 : -1}
        onFocus={(event) => event.target === event.currentTarget && focusRow(event.target)}
        onPointerDown={pressed}
        onClick={clicked}
      >
        <Head order={order} />
        <div role="rowgroup" className="rows" style={{ height: win.heightPx }}>
          {drawn.map(({ key, index, row }) => (
            <StreamRow
              key={key}
              row={row}
              index={index}
              top={win.topOf(index)}
              selected={row !== undefined && row.stream_id_hex === stream}
              tabbable={index === stop}
              patterns={byId}
            />
          ))}
        </div>
      </div>
      <ListState rows={rows} filter={filter} ready={ready} listed={listed} />
      <ListFooter
        counts={rows.counts}
        hiddenShown={params.include_hidden ?? false}
        index={selection.index}
        outside={selection.outside}
      />
    </main>
  );
}

function Head({ order }: { order: "newest" | "oldest" }) {
  const next = order === "newest" ? "oldest" : "newest";
  return (
    <div role="rowgroup" className="head">
      <div role="row" className="row" aria-rowindex={1}>
        {COLUMNS.map(([name, text, title]) =>
          name === "c-time" ? (
            <span
              key={name}
              role="columnheader"
              className={name}
              aria-sort={order === "newest" ? "descending" : "ascending"}
            >
              <button
                type="button"
                className="plain"
                title={`${order} first`}
                onClick={() => go({ order: next })}
              >
                time {order === "newest" ? "▼" : "▲"}
              </button>
            </span>
          ) : (
            <span key={name} role="columnheader" className={name} title={title}>
              {text === "" || text === "★" ? <span className="spoken-only">{title}</span> : text}
            </span>
          ),
        )}
      </div>
    </div>
  );
}

/** Rows [first, last) as they are drawn now, with keys that stay with a stream. A stream that moved
 * between two readings may be there twice. */
function useDrawn(rows: Rows, first: number, last: number) {
  const seen = Array.from({ length: Math.max(0, last - first) }, (_, i) => rows.at(first + i));
  const dealt = useDealt(seen.flatMap((row) => row?.stream_id_hex ?? []));
  const keyed = new Set<string>();
  return seen.map((row, i) => {
    const index = first + i;
    if (row === undefined || !dealt.has(row.stream_id_hex))
      return { key: `#${index}`, index, row: undefined };
    const key = keyed.has(row.stream_id_hex) ? `#${index}` : row.stream_id_hex;
    keyed.add(key);
    return { key, index, row };
  });
}

/** The row that Tab comes to. */
function tabStop(selected: number | null, first: number, last: number): number {
  return selected !== null && selected >= first && selected < last ? selected : first;
}

function focusRow(grid: HTMLElement): void {
  const row = grid.querySelector<HTMLElement>(".rows [tabindex='0']");
  row?.focus({ preventScroll: true });
}

/** Who scrolls away from the live edge stays there. */
function useScrolled(order: "newest" | "oldest") {
  return useCallback(
    (seen: { start: boolean; end: boolean }) => {
      if (order === "newest" ? !seen.start : !seen.end) flow.stay();
    },
    [order],
  );
}

function useEdge(
  following: boolean,
  order: "newest" | "oldest",
  { list, count }: Rows,
  toStart: () => void,
  toEnd: () => void,
): void {
  const grown = order === "oldest" ? count : 0; // the newest come at the end
  useEffect(() => {
    if (!following) return;
    if (order === "newest") toStart();
    else toEnd();
  }, [following, order, list, grown, toStart, toEnd]);
}

/** The focus goes along with the selection, unless it is somewhere else on purpose. */
function useFocusFollows(
  grid: { current: HTMLElement | null },
  stream: string | null,
  drawn: boolean,
): void {
  useEffect(() => {
    const active = document.activeElement;
    if (!drawn || grid.current === null) return;
    if (active === document.body || grid.current.contains(active)) focusRow(grid.current);
  }, [grid, stream, drawn]);
}
