/**
 * Octets as UTF-8 text. What is none is U+FFFD as the WHATWG Encoding Standard has it, one for each
 * maximal part of a character; a line may end in CR LF; what is invisible has a glyph (visible.ts).
 */

import { visible } from "../../format/visible";
import { Writer, type Shown } from "./shown";

const LF = 10;
const CR = 13;
const TAB = 9;
const BROKEN = 0xfffd;
const UNITS_PER_OCTET = 3; // U+0080, 2 octets, is shown as ‹0080›

export function showText(octets: Uint8Array): Shown {
  const writer = new Writer(octets.length * UNITS_PER_OCTET);
  let at = 0;
  while (at < octets.length) {
    const octet = octets[at] ?? 0;
    if ((octet >= 0x20 && octet < 0x7f) || octet === LF || octet === TAB) {
      writer.unit(octet, at, at + 1);
      at++;
    } else if (octet === CR && octets[at + 1] === LF) {
      writer.unit(LF, at, at + 2);
      at += 2;
    } else {
      const { code, length } = character(octets, at);
      writer.text(
        code === BROKEN ? "\ufffd" : visible(String.fromCodePoint(code)),
        at,
        at + length,
      );
      at += length;
    }
  }
  return writer.done();
}

/** One character of UTF-8 (WHATWG Encoding, 8.1.1): its code point, and how many octets it takes. */
export function character(octets: Uint8Array, at: number): { code: number; length: number } {
  const lead = octets[at] ?? 0;
  if (lead < 0x80) return { code: lead, length: 1 };
  const more = lead >= 0xc2 && lead <= 0xdf ? 1 : lead >> 4 === 0xe ? 2 : lead >= 0xf0 ? 3 : 0;
  if (more === 0 || lead > 0xf4) return { code: BROKEN, length: 1 };
  let code = lead & (0x3f >> more);
  for (let i = 1; i <= more; i++) {
    const next = octets[at + i] ?? 0;
    const low = i === 1 ? (lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80) : 0x80;
    const high = i === 1 ? (lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf) : 0xbf;
    if (next < low || next > high) return { code: BROKEN, length: i };
    code = (code << 6) | (next & 0x3f);
  }
  return { code, length: more + 1 };
}

/** The text that octets are, exactly; null when they are none. */
export function asText(octets: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(octets);
  } catch {
    return null;
  }
}

/**
 * Where a piece that begins at `at` and has `most` octets at most should end: behind a line, or at
 * least not in a character.
 */
export function cutText(octets: Uint8Array, at: number, most: number): number {
  const limit = at + most;
  if (limit >= octets.length) return octets.length;
  const line = octets.lastIndexOf(LF, limit - 1) + 1;
  if (line > at + most / 2) return line;
  let end = limit;
  while (end > limit - 4 && ((octets[end] ?? 0) & 0xc0) === 0x80) end--;
  const whole = ((octets[end] ?? 0) & 0xc0) !== 0x80 && end > at;
  return whole ? end : limit;
}
