import { describe, expect, it } from "vitest";

import { showText } from "./text";
import { dump } from "./hex";
import { spansOf, type Mark } from "./spans";

const utf8 = (text: string) => new TextEncoder().encode(text);
const mark = (start: number, end: number, pattern: number | null = 1): Mark => ({
  start,
  end,
  pattern,
});

describe("spans", () => {
  it("marks octets behind characters of several octets", () => {
    const spans = spansOf(showText(utf8("é=flag{x}")), 100, [mark(103, 110)]);
    expect(spans.map((span) => [span.text, span.patterns])).toEqual([
      ["é=", []],
      ["flag{x}", [1]],
    ]);
  });

  it("cuts where matches overlap, and names all of them", () => {
    const spans = spansOf(showText(utf8("abcdef")), 0, [mark(0, 4, 2), mark(2, 6, 1)]);
    expect(spans.map((span) => [span.text, span.patterns])).toEqual([
      ["ab", [2]],
      ["cd", [1, 2]],
      ["ef", [1]],
    ]);
  });

  it("clips what begins before and ends behind", () => {
    const spans = spansOf(showText(utf8("abc")), 10, [
      mark(5, 11),
      mark(12, 99, null),
      mark(0, 10),
    ]);
    expect(spans.map((span) => [span.text, span.patterns, span.place])).toEqual([
      ["a", [1], false],
      ["b", [], false],
      ["c", [], true],
    ]);
  });

  it("marks broken octets", () => {
    const spans = spansOf(showText(Uint8Array.of(0x61, 0xff, 0xfe, 0x62)), 0, [mark(1, 3)]);
    expect(spans[1]).toEqual({ text: "\ufffd\ufffd", patterns: [1], place: false });
  });

  it("leaves out the spaces around marked octets of a dump", () => {
    const spans = spansOf(dump(utf8("abcd"), 0).hex, 0, [mark(1, 3)]);
    expect(spans.map((span) => span.text)).toEqual(["61 ", "62 63", " 64"]);
  });

  it("joins up to the same text, whatever the marks are", () => {
    const shown = showText(utf8("a漢\r\n𝒳\u202eb"));
    for (let start = 0; start < 14; start++)
      for (let end = start; end < 15; end++) {
        const spans = spansOf(shown, 0, [mark(start, end), mark(3, 9, 2)]);
        expect(spans.map((span) => span.text).join("")).toBe(shown.text);
      }
  });
});
