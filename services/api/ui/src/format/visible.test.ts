import { describe, expect, it } from "vitest";

import { visible, visibleLine } from "./visible";

describe("visible", () => {
  it.each([
    ["plain é 漢 🙂", "plain é 漢 🙂"],
    ["a\u0000b\u001bc\u007f", "a␀b␛c␡"],
    ["a\r\nb\tc", "a␍\nb\tc"],
    ["\u0085", "‹0085›"],
    ["a\u202egnp.exe", "a‹202E›gnp.exe"],
    ["\u200b\u200f\u2066\u2069\ufeff", "‹200B›‹200F›‹2066›‹2069›‹FEFF›"],
    ["\u{e0041}", "‹E0041›"],
    ["<script>alert(1)</script>", "<script>alert(1)</script>"],
  ])("%j", (text, shown) => {
    expect(visible(text)).toBe(shown);
  });

  it("one line has no line ends", () => {
    expect(visibleLine("a\r\nb\tc\u2028d")).toBe("a␍␊b␉c‹2028›d");
  });

  it("leaves nothing that moves or hides text, whatever comes", () => {
    const hidden = /[\p{Cc}\p{Bidi_C}\u00ad\u200b-\u200d\u2060\ufeff]/u;
    for (let code = 0; code < 0x11000; code++)
      expect(hidden.test(visibleLine(String.fromCodePoint(code)))).toBe(false);
  });
});
