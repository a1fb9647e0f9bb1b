import { describe, expect, it } from "vitest";

import {
  formatBytes,
  formatCount,
  formatDateTime,
  formatDuration,
  formatEndpoint,
  formatShort,
  formatTime,
} from "./numbers";

describe("formatters", () => {
  it.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.00 kB"],
    [3140, "3.14 kB"],
    [9994, "9.99 kB"],
    [9996, "10.0 kB"],
    [99_960, "100 kB"],
    [999_499, "999 kB"],
    [999_500, "1.00 MB"],
    [5e15, "5.00 PB"],
    [5e18, "5000 PB"],
  ])("%i bytes", (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  it.each([
    [999.4, "999"],
    [412_000, "412 k"],
    [1_500_000, "1.50 M"],
  ])("%d for short", (count, text) => {
    expect(formatShort(count)).toBe(text);
  });

  it.each([
    [0, "0 µs"],
    [999, "999 µs"],
    [1000, "1 ms"],
    [1500, "1.5 ms"],
    [29_400, "29 ms"],
    [1_500_000, "1.5 s"],
    [59_999_999, "59 s"],
    [200_000_000, "3 min 20 s"],
    [7_260_000_000, "2 h 1 min"],
    [-1500, "-1.5 ms"],
  ])("%i µs", (us, text) => {
    expect(formatDuration(us)).toBe(text);
  });

  it("times are UTC, with all their digits where there is room", () => {
    expect(formatTime(1_795_684_564_000_123)).toBe("09:16:04");
    expect(formatDateTime(1_795_684_564_000_123)).toBe("2026-11-26 09:16:04.000123");
    expect(formatDateTime(-1)).toBe("1969-12-31 23:59:59.999999");
    expect(formatTime(9e15 * 1000)).toBe("??:??:??");
  });

  it("counts and endpoints", () => {
    expect(formatCount(40_112)).toBe("40,112");
    expect(formatEndpoint({ addr: "10.0.0.7", port: 80 })).toBe("10.0.0.7:80");
    expect(formatEndpoint({ addr: "fe80::1", port: 53 })).toBe("[fe80::1]:53");
    expect(formatEndpoint({ addr: "fe80::1", port: 53 }, false)).toBe("fe80::1");
  });
});
