import { expect, it } from "vitest";

import { parseTime } from "./filter";
import { dropTerm, filterTime, needsDay, toggleTerm, valueOf, withRange } from "./terms";

it("a term is dropped, the others stay as they were typed", () => {
  const text = 'svc:http  "GET /a"   nokey:1 port:80';
  expect(dropTerm(text, 0)).toBe('"GET /a" nokey:1 port:80');
  expect(dropTerm(text, 1)).toBe("svc:http nokey:1 port:80");
  expect(dropTerm(text, 2)).toBe('svc:http "GET /a" port:80');
});

it("a term is set, changed, and taken out when it is the same", () => {
  expect(toggleTerm("", "svc", "http")).toBe("svc:http");
  expect(toggleTerm("svc:http x", "svc", "dns")).toBe("x svc:dns");
  expect(toggleTerm("service:HTTP x", "svc", "http")).toBe("x");
  expect(valueOf('pat:"a b"', "pat")).toBe("a b");
  expect(valueOf("svc:http", "pat")).toBeNull();
});

it.each([
  [1_795_684_564_000_000, "2026-11-26T09:16:04"],
  [1_795_684_564_000_123, "2026-11-26T09:16:04.000123"],
  [1_795_684_564_250_000, "2026-11-26T09:16:04.25"],
])("%i µs is written %s and read again", (us, text) => {
  expect(filterTime(us)).toBe(text);
  expect(parseTime(text, 0)).toBe(us);
});

it("a range is as precise as a thousandth of itself, and never narrower than it was drawn", () => {
  const since = 1_795_684_564_123_456;
  expect(withRange("svc:http since:09:00", { since, until: since + 10_000_000 })).toBe(
    "svc:http since:2026-11-26T09:16:04.12 until:2026-11-26T09:16:14.13",
  );
  expect(withRange("", { since, until: since + 500 })).toBe(
    "since:2026-11-26T09:16:04.123456 until:2026-11-26T09:16:04.123956",
  );
  expect(withRange("since:09:00 x until:10:00", null)).toBe("x");
});

it("only times without a date need one", () => {
  expect(needsDay("since:09:00")).toBe(true);
  expect(needsDay("svc:http until:2026-11-26T09:00 since:1768640573900000")).toBe(false);
  expect(needsDay("since:soon")).toBe(false);
});
