import { expect, it } from "vitest";

import { timeText } from "./plot";
import { earlier, later, narrower, rangeOf, sentenceAbout, wider } from "./range";
import { bucketsFor } from "./useBucketCount";

const RANGE = { since: 1000, until: 2000 };

it("a range is moved by half of itself, halved and doubled about its middle", () => {
  expect(earlier(RANGE)).toEqual({ since: 500, until: 1500 });
  expect(later(RANGE)).toEqual({ since: 1500, until: 2500 });
  expect(narrower(RANGE)).toEqual({ since: 1250, until: 1750 });
  expect(wider(RANGE)).toEqual({ since: 500, until: 2500 });
  expect(narrower({ since: 5, until: 9 })).toEqual({ since: 5, until: 9 });
});

it("is told in a sentence", () => {
  const start_us = Date.UTC(2026, 10, 26, 9, 16, 4) * 1000;
  const buckets = {
    start_us,
    earlier: 0,
    bucket_us: 1_000_000,
    streams: [1, 5, 0],
    bytes: [100, 2900, 0],
    matches: [{ pattern_id: 3, counts: [0, 2, 1] }],
  };
  expect(rangeOf(buckets)).toEqual({ since: start_us, until: start_us + 3_000_000 });
  expect(sentenceAbout(buckets, [{ id: 3, name: "fl\u202eag" }])).toBe(
    "6 streams and 3.00 kB; from 2026-11-26 09:16:04.000000 to 2026-11-26 09:16:07.000000 " +
      "in steps of 1 s; most at 2026-11-26 09:16:05.000000: 5; 3 with a match of fl‹202E›ag",
  );
  expect(sentenceAbout(null, [])).toMatch(/nothing/);
});

it.each([
  [33_364, 60, "09:16"],
  [33_364, 5, "09:16:04"],
  [33_364.25, 0.05, "09:16:04.250"],
  [86_400, 3600, "1970-01-02"],
  [86_400, 1, "00:00:00"],
])("the label at %d s in steps of %d s is %s", (seconds, step, text) => {
  expect(timeText(seconds, step)).toBe(text);
});

it("buckets come in steps, within bounds", () => {
  expect([0, 399, 1000, 1199, 9999].map(bucketsFor)).toEqual([40, 40, 200, 200, 400]);
});
