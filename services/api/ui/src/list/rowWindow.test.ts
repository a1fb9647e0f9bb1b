import { describe, expect, it } from "vitest";

import {
  heightOf,
  MAX_PX,
  placeAt,
  resized,
  revealing,
  ROW_PX,
  rowsAt,
  scrolledTo,
  START,
  topRow,
} from "./rowWindow";

const SHORT = { count: 1000, viewPx: 660 };
const LONG = { count: 1_000_000, viewPx: 660 };
const offsetOf = ({ top, base }: { top: number; base: number }) => top + base;

describe("a list that fits a browser's element", () => {
  it("is scrolled as it is", () => {
    expect(heightOf(SHORT)).toBe(22_000);
    expect(scrolledTo(500, START, SHORT)).toEqual({ top: 500, base: 0 });
    expect(rowsAt({ top: 2200, base: 0 }, SHORT)).toEqual({ first: 90, last: 140 });
    expect(rowsAt(START, { count: 3, viewPx: 660 })).toEqual({ first: 0, last: 3 });
    expect(rowsAt(START, { count: 0, viewPx: 660 })).toEqual({ first: 0, last: 0 });
  });

  it("keeps its place when it grows, and moves when it has become too short", () => {
    const end = placeAt(Infinity, SHORT);
    expect(offsetOf(end)).toBe(22_000 - 660);
    expect(resized(end, { ...SHORT, count: 2000 })).toEqual(end);
    expect(resized(end, { ...SHORT, count: 100 })).toEqual({ top: 2200 - 660, base: 0 });
    expect(resized(end, { ...SHORT, count: 0 })).toEqual(START);
  });
});

describe("a list that is longer than an element may be", () => {
  it("reaches both ends", () => {
    expect(heightOf(LONG)).toBe(MAX_PX);
    const last = scrolledTo(MAX_PX - LONG.viewPx, START, LONG);
    expect(rowsAt(last, LONG).last).toBe(LONG.count);
    expect(offsetOf(last)).toBe(LONG.count * ROW_PX - LONG.viewPx);
    expect(scrolledTo(0, last, LONG)).toEqual(START);
  });

  it("goes pixel by pixel near by, and in proportion far away", () => {
    const middle = placeAt(11_000_000, LONG);
    const near = scrolledTo(middle.top + 100, middle, LONG);
    expect(offsetOf(near)).toBe(offsetOf(middle) + 100);
    const far = scrolledTo(middle.top + 1_000_000, middle, LONG);
    expect(offsetOf(far)).toBeGreaterThan(offsetOf(middle) + 2_000_000);
  });

  it("never leaves the list, however it is scrolled", () => {
    let place = START;
    for (let i = 0; i < 2000; i++) {
      const to = (i * 7919 * 131) % (MAX_PX - LONG.viewPx);
      const top = i % 5 === 0 ? to : place.top + ((i * 37) % 1300) - 650;
      place = scrolledTo(Math.min(Math.max(0, top), MAX_PX - LONG.viewPx), place, LONG);
      const { first, last } = rowsAt(place, LONG);
      expect(first).toBeGreaterThanOrEqual(0);
      expect(last).toBeLessThanOrEqual(LONG.count);
      expect(last - first).toBeLessThan(60);
      expect(last - first).toBeGreaterThan(30);
    }
  });
});

describe.each([SHORT, LONG])("revealing in $count rows", (extent) => {
  it("does nothing for a row that is seen whole", () => {
    expect(revealing(29, START, extent)).toBeNull();
    expect(revealing(0, START, extent)).toBeNull();
  });

  it("moves just so far for a neighbour", () => {
    const below = revealing(30, START, extent);
    expect(below === null ? null : offsetOf(below)).toBeCloseTo(ROW_PX, 6);
    const middle = placeAt(500 * ROW_PX, extent);
    const above = revealing(499, middle, extent);
    expect(above === null ? null : offsetOf(above)).toBeCloseTo(499 * ROW_PX, 6);
  });

  it("brings a far row into the middle", () => {
    const place = revealing(700, START, extent) ?? START;
    expect(topRow(place)).toBeGreaterThan(680);
    expect(topRow(place)).toBeLessThan(690);
  });

  it("shows every row that it is asked for", () => {
    let place = START;
    for (const index of [0, 999, 1, 500, 501, 531, 999, 0]) {
      place = revealing(index, place, extent) ?? place;
      const own = offsetOf(place);
      expect(index * ROW_PX).toBeGreaterThanOrEqual(own - 0.001);
      expect((index + 1) * ROW_PX).toBeLessThanOrEqual(own + extent.viewPx + 0.001);
    }
  });
});
