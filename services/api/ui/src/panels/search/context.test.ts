import { describe, expect, it } from "vitest";

import { contextOf } from "./context";
import type { Hit } from "./found";

function hitIn(context: string | Uint8Array, start: number, end: number, offset = 0): Hit {
  const octets = typeof context === "string" ? new TextEncoder().encode(context) : context;
  return {
    stream_id_hex: "00ff00ff00ff00ff",
    direction: "a_to_b",
    start: offset + start,
    end: offset + end,
    ts_us: 0,
    text: null,
    base64: "",
    context_start: offset,
    context_text: typeof context === "string" ? context : null,
    context_base64: btoa(String.fromCharCode(...octets)),
  };
}

describe("contextOf", () => {
  it("cuts where the bytes say, also behind letters of several bytes", () =>
    expect(contextOf(hitIn("é→FLAG_1!", 5, 11, 4096))).toEqual({
      before: "é→",
      match: "FLAG_1",
      after: "!",
    }));

  it("shows bytes that are no text as dots", () =>
    expect(contextOf(hitIn(Uint8Array.of(0, 0x7f, 0x50, 0x4b, 3, 4, 255), 2, 6))).toEqual({
      before: "··",
      match: "PK··",
      after: "·",
    }));

  it("keeps the hit in sight and on one line", () => {
    const { before, match } = contextOf(hitIn(`${"x".repeat(60)}\r\nabc`, 62, 65));
    expect(before).toBe(`…${"x".repeat(31)}↵`);
    expect(match).toBe("abc");
  });

  it("makes what moves other text visible", () =>
    expect(contextOf(hitIn("a\u202eb", 0, 1)).after).toBe("‹202E›b"));

  it("is not confused by a hit that is longer than what is told of it", () =>
    expect(contextOf(hitIn("abcdef", 2, 4000))).toEqual({
      before: "ab",
      match: "cdef",
      after: "",
    }));
});
