/** The rows of a window of the list, and how many there are. */

import { useQueries, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { flow, useFlow, useStaleTime } from "../view/flow";
import {
  anchorBlocks,
  blockQuery,
  blocksOf,
  BLOCK_ROWS,
  forgetBlocks,
  nameOf,
  type Listed,
} from "./blocks";
import type { Row } from "./row";

export interface Counts {
  total: number;
  hidden: number;
  fresh: number;
  /** When they were read, ms since the epoch. */
  readAt: number;
}

export interface Rows {
  /** Names this list: another filter or order is another list. */
  list: string;
  /** undefined: not read yet. */
  at: (index: number) => Row | undefined;
  /** Where a stream is, among what is read. */
  indexOf: (id: string) => number | null;
  /** null: nothing is known yet. */
  counts: Counts | null;
  /** Rows of the list: those that pass and are not newer than the anchor. */
  count: number;
  /** Why a part could not be read; it may be tried again by itself. */
  error: Error | null;
  again: () => void;
}

const SETTLE_MS = 60; // blocks that are scrolled past within this time are not asked for

export function useRows(listed: Listed, ready: boolean, first: number, last: number): Rows {
  const client = useQueryClient();
  const { following, anchor: held } = useFlow();
  const staleTime = useStaleTime();
  const list = nameOf(listed);
  const anchor = !following && held?.list === list ? held.number : null;
  const wanted = blocksOf(first, last);
  const settled = useSettled(wanted.join(), SETTLE_MS) === wanted.join();

  const results = useQueries({
    queries: wanted.map((block) => ({
      ...blockQuery(listed, anchor, block),
      staleTime,
      enabled: ready && settled,
    })),
  });
  const newest = results.reduce((a, b) => (b.dataUpdatedAt > a.dataUpdatedAt ? b : a));
  const read = newest.data && { ...newest.data, readAt: newest.dataUpdatedAt };
  const kept = useLast(`${list} ${anchor ?? ""}`, read);
  const counts = ready ? kept : null; // until then what is there is of another filter

  // the first block that was read gives the anchor
  const top = wanted[0] === 0 ? results[0]?.data?.rows[0]?.number : undefined;
  const unanchored = !following && anchor === null && listed.order === "newest";
  useEffect(() => {
    if (!unanchored || top === undefined) return;
    anchorBlocks(client, listed, top + 1);
    flow.anchorAt(list, top + 1);
  }, [unanchored, top, client, listed, list]);
  useEffect(() => forgetBlocks(client), [client, list, anchor, settled]);

  const begin = (wanted[0] ?? 0) * BLOCK_ROWS;
  const blocks = results.map((result) => (ready ? result.data?.rows : undefined));
  return {
    list,
    at: (index) => {
      const place = index - begin;
      return place < 0 ? undefined : blocks[Math.floor(place / BLOCK_ROWS)]?.[place % BLOCK_ROWS];
    },
    indexOf: (id) => {
      for (const [i, rows] of blocks.entries()) {
        const place = rows?.findIndex((row) => row.stream_id_hex === id) ?? -1;
        if (place >= 0) return begin + i * BLOCK_ROWS + place;
      }
      return null;
    },
    counts,
    count: counts === null ? 0 : counts.total - counts.fresh,
    error: results.find((result) => result.failureReason !== null)?.failureReason ?? null,
    again: () => results.forEach((result) => void result.refetch()),
  };
}

/** The value once it has stayed for a while. */
function useSettled<T>(value: T, ms: number): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return settled;
}

/** The newest counts of this list: parts of it that were read earlier may have others. */
function useLast(name: string, read: Counts | undefined): Counts | null {
  const [last, setLast] = useState<{ name: string; counts: Counts } | null>(null);
  if (read !== undefined && (last?.name !== name || last.counts.readAt < read.readAt)) {
    const { total, hidden, fresh, readAt } = read;
    setLast({ name, counts: { total, hidden, fresh, readAt } });
  }
  return last?.name === name ? last.counts : null;
}
