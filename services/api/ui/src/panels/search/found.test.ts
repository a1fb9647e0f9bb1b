import { describe, expect, it } from "vitest";

import { HITS_KEPT, merged, NOTHING, progressOf, type Hit, type Hits } from "./found";

function hit(start: number): Hit {
  return {
    stream_id_hex: "00ff00ff00ff00ff",
    direction: "a_to_b",
    start,
    end: start + 4,
    ts_us: 0,
    text: "FLAG",
    base64: "RkxBRw==",
    context_start: start,
    context_text: "FLAG",
    context_base64: "RkxBRw==",
  };
}

function answer(more: Partial<Hits>): Hits {
  return {
    search_id: "0123456789abcdef",
    hits: [],
    next_cursor: "0",
    progress: { scanned_bytes: 0, total_bytes: 100 },
    done: false,
    cancelled: false,
    capped: false,
    trouble: [],
    missing: [],
    ...more,
  };
}

describe("merged", () => {
  it("adds what is new behind what is there, and asks on from there", () => {
    const first = merged(NOTHING, answer({ hits: [hit(1), hit(5)], next_cursor: "2.0" }));
    const second = merged(first, answer({ hits: [hit(9)], next_cursor: "2.1", done: true }));
    expect(second.hits.map(({ start }) => start)).toEqual([1, 5, 9]);
    expect(second.cursor).toBe("2.1");
    expect(second.done).toBe(true);
    expect(first.hits).toHaveLength(2);
  });

  it("keeps the list itself when nothing is new", () => {
    const first = merged(NOTHING, answer({ hits: [hit(1)] }));
    expect(merged(first, answer({})).hits).toBe(first.hits);
  });

  it("takes the newest word on everything else", () => {
    const before = merged(
      NOTHING,
      answer({ missing: ["shard 1: did not answer"], trouble: ["x"] }),
    );
    const after = merged(before, answer({ capped: true, cancelled: true }));
    expect(after).toMatchObject({ missing: [], trouble: [], capped: true, cancelled: true });
  });

  it("keeps so many hits and no more, and says so for good", () => {
    const many = Array.from({ length: HITS_KEPT - 1 }, (_, at) => hit(at));
    const before = merged(NOTHING, answer({ hits: many }));
    expect(before.full).toBe(false);
    const after = merged(before, answer({ hits: [hit(1), hit(2)] }));
    expect(after.hits).toHaveLength(HITS_KEPT);
    expect(merged(after, answer({})).full).toBe(true);
  });
});

describe("progressOf", () => {
  const at = (scanned_bytes: number, more: Partial<Hits> = {}) =>
    progressOf(merged(NOTHING, answer({ progress: { scanned_bytes, total_bytes: 100 }, ...more })));

  it("is what was scanned, and all of it in the end", () => {
    expect(progressOf(NOTHING)).toBe(0);
    expect(at(25)).toBe(0.25);
    expect(at(25, { done: true })).toBe(1);
    expect(progressOf({ ...NOTHING, done: true })).toBe(1);
  });

  it("stays where it was cancelled", () =>
    expect(at(25, { done: true, cancelled: true })).toBe(0.25));
});
