/**
 * The list's rows as they are read: blocks of BLOCK_ROWS, by the list's filter and order, from the
 * anchor on. Behind an anchor a place is the same row whatever arrives, so blocks stay good.
 */

import { queryOptions, type QueryClient } from "@tanstack/react-query";

import { request, type Params, type StreamPage } from "../api/client";
import { keys } from "../api/keys";
import type { ListParams } from "../api/queries";
import type { View } from "../view/view";
import { toRow, type Row } from "./row";

export const BLOCK_ROWS = 64;
const BLOCKS_KEPT = 96; // 6,144 rows of about 1 kB
/** Read before they are seen: a wheel turned fast brings 6 rows a frame, and a block takes 6 frames. */
const MARGIN_ROWS = 48;

/** Which list: filter and order. */
export interface Listed {
  params: ListParams;
  order: View["order"];
}

export interface Block {
  rows: Row[];
  /** Rows that pass the filter: in all, hidden besides, and newer than the anchor. */
  total: number;
  hidden: number;
  fresh: number;
}

const BLOCK = [...keys.streams, "block"] as const;

/** As text: keys match in parts, and the parameters of one list may be a part of another's. */
export function nameOf({ params, order }: Listed): string {
  return JSON.stringify([params, order]);
}

const keyOf = (listed: Listed, anchor: number | null) =>
  [...BLOCK, nameOf(listed), anchor] as const;

export function blockQuery(listed: Listed, anchor: number | null, block: number) {
  const offset = block * BLOCK_ROWS;
  return queryOptions({
    queryKey: [...keyOf(listed, anchor), block],
    queryFn: async ({ signal }): Promise<Block> => {
      const place = { order: listed.order, cursor: anchor, offset, limit: BLOCK_ROWS };
      const params = { ...(listed.params as Params), ...place };
      const page = await request<StreamPage>("/api/streams", { params, signal });
      return {
        rows: page.streams.map(toRow),
        total: page.total,
        hidden: page.hidden,
        fresh: anchor === null ? 0 : Math.max(0, page.before - offset),
      };
    },
  });
}

/** Begin to read its first rows: to draw the page for the first time takes longer than that. Rows of
 * a million streams were there after 1.1 s rather than 1.4, on two cores. */
export function expectRows(client: QueryClient, listed: Listed): void {
  // what goes wrong is told by who shows it
  client.query(blockQuery(listed, null, 0)).catch(() => undefined);
}

/** Numbers of the blocks that rows [first, last) need. */
export function blocksOf(first: number, last: number): number[] {
  const from = Math.floor(Math.max(0, first - MARGIN_ROWS) / BLOCK_ROWS);
  const to = Math.floor(Math.max(0, last - 1 + MARGIN_ROWS) / BLOCK_ROWS);
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

/** What the live list has read becomes the anchored list's, so that nothing blinks. */
export function anchorBlocks(client: QueryClient, listed: Listed, anchor: number): void {
  for (const [key, block] of client.getQueriesData<Block>({ queryKey: keyOf(listed, null) }))
    if (block !== undefined) client.setQueryData([...keyOf(listed, anchor), key.at(-1)], block);
}

/** Forget the blocks that were not used for longest. */
export function forgetBlocks(client: QueryClient): void {
  const cache = client.getQueryCache();
  const idle = cache.findAll({ queryKey: BLOCK, type: "inactive" });
  idle.sort((a, b) => b.state.dataUpdatedAt - a.state.dataUpdatedAt);
  for (const query of idle.slice(BLOCKS_KEPT)) cache.remove(query);
}
