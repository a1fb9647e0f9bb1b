/** Octets as a hex dump: 16 in a line, in columns that know their octets. */

import { Writer, type Shown } from "./shown";

export const LINE = 16;
const DIGITS = "0123456789abcdef";
const SPACE = 32;
const LF = 10;
const DOT = 46;

export interface Dump {
  offsets: string;
  hex: Shown;
  ascii: Shown;
}

/** start: the offset of the first octet. */
export function dump(octets: Uint8Array, start: number): Dump {
  const hex = new Writer(octets.length * 3);
  const ascii = new Writer(octets.length + Math.ceil(octets.length / LINE));
  const offsets: string[] = [];
  const digits = Math.max(6, (start + octets.length).toString(16).length);
  for (let i = 0; i < octets.length; i++) {
    const octet = octets[i] ?? 0;
    if (i % LINE === 0) {
      offsets.push((start + i).toString(16).padStart(digits, "0"));
      if (i > 0) {
        hex.unit(LF, i, i);
        ascii.unit(LF, i, i);
      }
    } else hex.unit(SPACE, i, i);
    hex.unit(DIGITS.charCodeAt(octet >> 4), i, i + 1);
    hex.unit(DIGITS.charCodeAt(octet & 15), i, i + 1);
    ascii.unit(octet >= 0x20 && octet < 0x7f ? octet : DOT, i, i + 1);
  }
  return { offsets: offsets.join("\n"), hex: hex.done(), ascii: ascii.done() };
}

/** `47 45 54` */
export function toHex(octets: Uint8Array, between = " "): string {
  return Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join(between);
}
