import { describe, expect, it } from "vitest";

import { fromBase64, toBase64 } from "./base64";
import { showBase64 } from "./encoded";
import { dump, toHex } from "./hex";
import { octetsOf, unitsOf } from "./shown";

const count = (length: number) => Uint8Array.from({ length }, (_, i) => i & 0xff);

describe("hex dump", () => {
  it("has offsets, digits and ASCII in lines of 16", () => {
    const { offsets, hex, ascii } = dump(new TextEncoder().encode("GET /\0é flag{a}\n!"), 0x1000);
    expect(offsets).toBe("001000\n001010");
    expect(hex.text).toBe("47 45 54 20 2f 00 c3 a9 20 66 6c 61 67 7b 61 7d\n0a 21");
    expect(ascii.text).toBe("GET /... flag{a}\n.!");
  });

  it("is empty of nothing", () => {
    expect(dump(new Uint8Array(), 0)).toMatchObject({ offsets: "", hex: { text: "" } });
  });

  it("finds the octets of digits, half a pair being the whole one", () => {
    const { hex, ascii } = dump(count(40), 0);
    expect(octetsOf(hex, 0, 5)).toEqual([0, 2]);
    expect(octetsOf(hex, 1, 4)).toEqual([0, 2]);
    expect(octetsOf(hex, 2, 3)).toBeNull(); // a space
    expect(octetsOf(hex, 45, 50)).toEqual([15, 17]); // over the end of a line
    expect(octetsOf(ascii, 16, 18)).toEqual([16, 17]);
  });

  it("finds the digits of octets", () => {
    const { hex, ascii } = dump(count(40), 0);
    for (let at = 0; at < 40; at++) {
      expect(hex.text.slice(...unitsOf(hex, at, at + 1))).toBe(at.toString(16).padStart(2, "0"));
      expect(octetsOf(ascii, ...unitsOf(ascii, at, at + 1))).toEqual([at, at + 1]);
    }
  });

  it("writes pairs with what is wanted between", () => {
    expect(toHex(Uint8Array.of(0, 255))).toBe("00 ff");
    expect(toHex(Uint8Array.of(0, 255), "")).toBe("00ff");
  });
});

describe("base64", () => {
  it("comes back whole, also over pieces", () => {
    for (const length of [0, 1, 2, 3, 57, 58, 0x3000, 0x3001, 100_000])
      expect(fromBase64(toBase64(count(length)))).toEqual(count(length));
  });

  it("is shown in lines, each group of four standing for its octets", () => {
    const shown = showBase64(count(60));
    expect(shown.text.split("\n").map((line) => line.length)).toEqual([76, 4]);
    expect(octetsOf(shown, 5, 6)).toEqual([3, 6]);
    expect(octetsOf(shown, 75, 78)).toEqual([54, 60]);
    expect(octetsOf(showBase64(count(4)), 4, 8)).toEqual([3, 4]);
  });
});
