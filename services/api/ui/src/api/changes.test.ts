import { QueryClient } from "@tanstack/react-query";
import { afterEach, beforeEach, expect, it, vi } from "vitest";

import { keys } from "./keys";
import { Changes } from "./LiveProvider";

const STREAMS = { cursor: 1, kind: "streams", ids: [] } as const;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Changes whose readings end when they are told to. */
function slow() {
  const client = new QueryClient();
  const asked: string[] = [];
  const ends: (() => void)[] = [];
  vi.spyOn(client, "invalidateQueries").mockImplementation((filters) => {
    asked.push(String(filters?.queryKey?.[0]));
    return new Promise((done) => ends.push(done));
  });
  return { changes: new Changes(client), asked, ends };
}

it("many changes cost one reading", async () => {
  const { changes, asked } = slow();
  for (let i = 0; i < 1000; i++) changes.add(STREAMS);
  await vi.advanceTimersByTimeAsync(300);
  expect(asked).toEqual([keys.streams[0], keys.overview[0]]);
});

it("what is being read is read again when it is here, not before", async () => {
  const { changes, asked, ends } = slow();
  changes.add(STREAMS);
  await vi.advanceTimersByTimeAsync(300);
  changes.add(STREAMS);
  await vi.advanceTimersByTimeAsync(5000);
  expect(asked).toHaveLength(2);
  ends[0]?.();
  await vi.advanceTimersByTimeAsync(300);
  expect(asked).toEqual([keys.streams[0], keys.overview[0], keys.streams[0]]);
});

it("the overview rests between readings", async () => {
  const { changes, asked, ends } = slow();
  changes.add(STREAMS);
  await vi.advanceTimersByTimeAsync(300);
  ends.forEach((end) => end());
  changes.add(STREAMS);
  await vi.advanceTimersByTimeAsync(600);
  expect(asked.filter((name) => name === keys.overview[0])).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked.filter((name) => name === keys.overview[0])).toHaveLength(2);
});

it("nothing is read after the end", async () => {
  const { changes, asked } = slow();
  changes.add(STREAMS);
  changes.stop();
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked).toEqual([]);
});
