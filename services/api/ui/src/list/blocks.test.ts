import { QueryClient } from "@tanstack/react-query";
import { expect, it } from "vitest";

import { anchorBlocks, blockQuery, blocksOf, type Block } from "./blocks";
import type { Row } from "./row";

const ALL = { params: {}, order: "newest" } as const;
const HTTP = { params: { service: "http" }, order: "newest" } as const;
const block = (id: string): Block => ({
  rows: [{ stream_id_hex: id, favorite: false } as Row],
  total: 1,
  hidden: 0,
  fresh: 0,
});

it.each([
  [0, 0, [0]],
  [0, 16, [0]],
  [0, 17, [0, 1]],
  [64 + 48, 192 - 48, [1, 2]],
  [64 + 47, 192 - 47, [0, 1, 2, 3]],
  [999_950, 1_000_000, [15623, 15624, 15625]],
])("rows [%i, %i) are in blocks %j, with what is close by", (first, last, blocks) => {
  expect(blocksOf(first, last)).toEqual(blocks);
});

it("the anchored list begins with what the live one has read, and with nothing of other lists", () => {
  const client = new QueryClient();
  client.setQueryData(blockQuery(ALL, null, 0).queryKey, block("a"));
  client.setQueryData(blockQuery(HTTP, null, 0).queryKey, block("b"));
  anchorBlocks(client, ALL, 9);
  expect(client.getQueryData(blockQuery(ALL, 9, 0).queryKey)?.rows[0]?.stream_id_hex).toBe("a");
  expect(client.getQueryData(blockQuery(HTTP, 9, 0).queryKey)).toBeUndefined();
});
