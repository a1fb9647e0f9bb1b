import { describe, expect, it } from "vitest";

import { visible } from "../../format/visible";
import { octetsOf, unitsOf } from "./shown";
import { asText, cutText, showText } from "./text";

const utf8 = (text: string) => new TextEncoder().encode(text);

/** A generator with a seed: failures repeat. */
function* numbers(seed: number): Generator<number> {
  for (let state = seed; ;) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state >>> 8;
  }
}

const PIECES = ["é", "漢", "𝒳", "a", "\n", "\r\n", "\r", "\t", "\u202e", "\u0085", "\ufeff", "\0"];

function hostile(seed: number): Uint8Array {
  const random = numbers(seed);
  const next = (below: number) => (random.next().value as number) % below;
  const octets: number[] = [];
  while (octets.length < 200) {
    if (next(3) === 0) octets.push(next(256));
    else octets.push(...utf8(PIECES[next(PIECES.length)] ?? ""));
  }
  return Uint8Array.from(octets);
}

function decoded(octets: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(octets);
}

describe("text of octets", () => {
  it("shows each octet once, in order, whatever the octets are", () => {
    for (let seed = 0; seed < 60; seed++) {
      const octets = hostile(seed);
      const { text, from, to } = showText(octets);
      let at = 0;
      for (let i = 0; i < text.length; i++) {
        const same = i > 0 && from[i] === from[i - 1];
        expect(from[i], `seed ${seed} unit ${i}`).toBe(same ? from[i - 1] : at);
        expect(to[i]).toBeGreaterThan(from[i] ?? 0);
        at = to[i] ?? 0;
      }
      expect(at).toBe(octets.length);
    }
  });

  it("is what the Encoding Standard makes of them, with glyphs", () => {
    for (let seed = 0; seed < 60; seed++) {
      const octets = hostile(seed);
      const wanted = decoded(octets).replaceAll("\r\n", "\n");
      expect(showText(octets).text, `seed ${seed}`).toBe(visible(wanted));
    }
  });

  it("replaces a broken character once for each maximal part", () => {
    const shown = showText(Uint8Array.of(0x61, 0xe2, 0x82, 0x62, 0xff, 0xf0, 0x9f));
    expect(shown.text).toBe("a\ufffdb\ufffd\ufffd");
    expect([...shown.from]).toEqual([0, 1, 3, 4, 5]);
    expect([...shown.to]).toEqual([1, 3, 4, 5, 7]);
  });

  it("ends a line at CR LF, and shows a CR that stands alone", () => {
    const shown = showText(utf8("a\r\nb\rc"));
    expect(shown.text).toBe("a\nb␍c");
    expect(octetsOf(shown, 1, 2)).toEqual([1, 3]);
  });

  it("shows what would turn text around as a glyph of its octets", () => {
    const shown = showText(utf8("x\u202ey"));
    expect(shown.text).toBe("x‹202E›y");
    expect(octetsOf(shown, 3, 4)).toEqual([1, 4]);
    expect(unitsOf(shown, 1, 4)).toEqual([1, 7]);
  });

  it("maps octets to units and back where characters have several octets", () => {
    const shown = showText(utf8("aé漢𝒳z"));
    expect(unitsOf(shown, 1, 3)).toEqual([1, 2]);
    expect(unitsOf(shown, 3, 6)).toEqual([2, 3]);
    expect(unitsOf(shown, 6, 10)).toEqual([3, 5]);
    expect(octetsOf(shown, 3, 4)).toEqual([6, 10]); // half of a surrogate pair is all of it
    expect(unitsOf(shown, 4, 5)).toEqual([2, 3]); // an octet inside of a character is all of it
    expect(octetsOf(shown, 2, 2)).toBeNull();
  });
});

describe("cutting text", () => {
  it("cuts behind a line where one ends in the second half", () => {
    expect(cutText(utf8("aaaa\nbbbbbb"), 0, 8)).toBe(5);
    expect(cutText(utf8("a\nbbbbbbbbbb"), 0, 8)).toBe(8);
  });

  it("never cuts a character", () => {
    expect(cutText(utf8("aaaaaa漢b"), 0, 7)).toBe(6);
    expect(cutText(utf8("aaaaaa漢b"), 0, 8)).toBe(6);
    expect(cutText(utf8("aaaaaa漢b"), 0, 9)).toBe(9);
  });

  it("goes on through octets that are no text", () => {
    expect(cutText(new Uint8Array(100).fill(0x80), 10, 8)).toBe(18);
  });
});

it("takes octets for text only when they are", () => {
  expect(asText(utf8("\ufeffé"))).toBe("\ufeffé");
  expect(asText(Uint8Array.of(0xff))).toBeNull();
});
