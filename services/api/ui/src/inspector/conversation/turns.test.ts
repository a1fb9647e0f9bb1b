import { describe, expect, it } from "vitest";

import type { Schemas } from "../../api/client";
import { toBase64 } from "../octets/base64";
import { itemAt, itemsOf } from "./items";
import { CUT_OCTETS, look, LOOK, shownOf, type Look } from "./look";
import { placesOf, stepFrom } from "./places";
import { join, NOTHING, octetsIn, turnAt, type Talk, type Turn } from "./turns";

const octets = (length: number, first = 0) =>
  Uint8Array.from({ length }, (_, i) => (first + i) & 255);

const CUT = { continues: true };

function told(
  direction: "a_to_b" | "b_to_a",
  start: number,
  end: number,
  change: Partial<Schemas["Turn"]> = {},
): Schemas["Turn"] {
  return {
    ...{ direction, start, end, ts_us: 0, delta_us: 0, gap: false, continues: false },
    ...{ highlights: [], message: null, message_count: 0 },
    view: toBase64(octets(end - start, start)),
    ...change,
  };
}

function page(turns: Schemas["Turn"][], end_cursor: string, more = false): Schemas["Conversation"] {
  return { stream_id_hex: "0", turns, next_cursor: more ? end_cursor : null, end_cursor };
}

function only(talk: Talk): Turn {
  const [turn] = talk.turns;
  if (turn === undefined) throw new Error("no turn");
  return turn;
}

describe("reading turns", () => {
  it("makes a long turn whole again, within a page and over pages", () => {
    const hit = { pattern_id: 1, start: 9, end: 10 };
    const parts = [told("a_to_b", 0, 5, CUT), told("a_to_b", 5, 8, CUT)];
    const first = join(NOTHING, page(parts, "8-0", true));
    const both = join(first, page([told("a_to_b", 8, 12, { highlights: [hit] })], "12-0"));
    expect(first).toMatchObject({ ended: false, after: "8-0" });
    expect(both).toMatchObject({ ended: true, after: "12-0" });
    expect(only(first).continues).toBe(true);
    expect(only(both)).toMatchObject({ start: 0, end: 12, continues: false, highlights: [hit] });
    expect(octetsIn(only(both), 3, 10)).toEqual(octets(7, 3));
  });

  it("keeps apart what the other side or a gap parts", () => {
    const talk = join(
      NOTHING,
      page(
        [
          told("a_to_b", 0, 5),
          told("b_to_a", 0, 4),
          told("a_to_b", 5, 9, { gap: true, view: "" }),
          told("a_to_b", 9, 12),
        ],
        "12-4",
      ),
    );
    expect(talk.turns.map((turn) => turn.key)).toEqual([
      "a_to_b:0",
      "b_to_a:0",
      "a_to_b:5:gap",
      "a_to_b:9",
    ]);
    expect(turnAt(talk.turns, "a_to_b", 8)).toBe(2);
    expect(turnAt(talk.turns, "b_to_a", 8)).toBe(-1);
  });

  it("goes on when a stream has grown", () => {
    const talk = join(NOTHING, page([told("a_to_b", 0, 5)], "5-0"));
    const grown = join(talk, page([told("a_to_b", 5, 6), told("b_to_a", 0, 2)], "6-2"));
    expect(grown.turns.map((turn) => turn.end)).toEqual([6, 2]);
    expect(only(talk).end).toBe(5); // what was there is not changed
  });
});

const LONG = 5 * CUT_OCTETS;
const long = only(join(NOTHING, page([told("a_to_b", 0, LONG)], `${LONG}-0`)));

describe("looking at turns", () => {
  const after = (state: Look, ...actions: Parameters<typeof look>[1][]) =>
    actions.reduce(look, state);

  it("shows the first part of a long turn, and more on demand", () => {
    expect(shownOf(LOOK, long)).toEqual({ from: 0, to: CUT_OCTETS });
    const more = after(LOOK, { kind: "more", turn: long });
    expect(shownOf(more, long)).toEqual({ from: 0, to: 2 * CUT_OCTETS });
    const all = after(
      more,
      ...Array.from({ length: 9 }, () => ({ kind: "more" as const, turn: long })),
    );
    expect(shownOf(all, long)).toEqual({ from: 0, to: LONG });
  });

  it("moves to a place that is far in, and shows what is before it on demand", () => {
    const at = 4 * CUT_OCTETS;
    const there = after(LOOK, { kind: "reveal", turn: long, at, end: at + 10 });
    const { from, to } = shownOf(there, long);
    expect(from).toBeGreaterThan(CUT_OCTETS);
    expect([from <= at, to >= at + 10]).toEqual([true, true]);
    expect(shownOf(after(there, { kind: "before", turn: long }), long).from).toBe(
      from - CUT_OCTETS,
    );
  });

  it("stays as it is once a place is shown, also one that goes beyond the turn", () => {
    for (const at of [0, 10, CUT_OCTETS - 1, CUT_OCTETS + 5, 3 * CUT_OCTETS, LONG - 1])
      for (const length of [0, 1, 3 * CUT_OCTETS, 99 * CUT_OCTETS]) {
        const reveal = { kind: "reveal" as const, turn: long, at, end: at + length };
        const once = look(LOOK, reveal);
        expect(look(once, reveal), `${at} ${length}`).toBe(once);
      }
  });

  it("swaps one turn, and forgets that when all are", () => {
    const swapped = after(LOOK, { kind: "swap", turn: long });
    expect(swapped.swapped.has(long.key)).toBe(true);
    expect(after(swapped, { kind: "swap", turn: long }).swapped.size).toBe(0);
    expect(after(swapped, { kind: "unswap" }).swapped.size).toBe(0);
  });
});

describe("items", () => {
  const talk: Talk = { turns: [long], after: `${LONG}-0`, ended: true, pages: 1 };

  it("cover what is shown, without holes, and say what is left", () => {
    for (const mode of ["text", "hex", "raw"] as const) {
      const reveal = { kind: "reveal" as const, turn: long, at: LONG - 100, end: LONG };
      for (const state of [LOOK, look(LOOK, reveal)]) {
        const items = itemsOf(talk, state, mode, false);
        const shown = items.filter((item) => item.kind === "octets");
        shown.slice(1).forEach((item, i) => expect(item.start).toBe(shown[i]?.end));
        const hidden = items.map((i) => (i.kind === "more" || i.kind === "before" ? i.octets : 0));
        const length = (shown.at(-1)?.end ?? 0) - (shown[0]?.start ?? 0);
        expect(length + hidden.reduce((a, b) => a + b)).toBe(LONG);
        expect(new Set(items.map((item) => item.key)).size).toBe(items.length);
      }
    }
  });

  it("has a decoded turn as one item, its neighbours as they were", () => {
    expect(itemsOf(talk, LOOK, "text", true).map((item) => item.kind)).toEqual(["head", "decoded"]);
    const swapped = look(LOOK, { kind: "swap", turn: long });
    expect(itemsOf(talk, swapped, "text", true)[1]?.kind).toBe("octets");
  });

  it("finds the item of a place; a turn's first byte is at its head", () => {
    const items = itemsOf(talk, LOOK, "hex", false);
    expect(items[itemAt(items, long, 0)]?.kind).toBe("head");
    expect(items[itemAt(items, long, 1030)]).toMatchObject({ start: 1024 });
  });
});

describe("steps", () => {
  const talk = join(
    NOTHING,
    page(
      [
        told("a_to_b", 0, 10),
        told("b_to_a", 0, 4),
        told("a_to_b", 10, 12, { gap: true, view: "" }),
        told("a_to_b", 12, 20),
      ],
      "20-4",
    ),
  );
  const places = placesOf(talk.turns, [{ direction: "a_to_b", start: 5 }]);

  it("go through turns and the messages inside of them, not through gaps", () => {
    expect(places.map((place) => place.at)).toEqual([0, 5, 0, 12]);
    const now = { direction: "a_to_b" as const, at: 7 };
    expect(stepFrom(places, now, 1)).toEqual({ direction: "b_to_a", at: 0 });
    expect(stepFrom(places, now, -1)).toEqual({ direction: "a_to_b", at: 0 });
  });

  it("begin at the first, and end at the ends", () => {
    expect(stepFrom(places, { direction: "a_to_b", at: null }, 1)).toEqual(places[0]);
    expect(stepFrom(places, { direction: "a_to_b", at: 19 }, 1)).toBeNull();
  });
});
