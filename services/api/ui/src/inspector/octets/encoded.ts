/** Octets as base64, in lines; each group of four characters stands for its three octets. */

import { toBase64 } from "./base64";
import { Writer, type Shown } from "./shown";

export const LINE_OCTETS = 57; // 76 characters (RFC 2045, 6.8)
const LF = 10;

export function showBase64(octets: Uint8Array): Shown {
  const text = toBase64(octets);
  const writer = new Writer(text.length + Math.ceil(octets.length / LINE_OCTETS));
  for (let i = 0; i < text.length; i++) {
    const group = (i >> 2) * 3;
    if (i > 0 && group % LINE_OCTETS === 0 && i % 4 === 0) writer.unit(LF, group, group);
    writer.unit(text.charCodeAt(i), group, Math.min(group + 3, octets.length));
  }
  return writer.done();
}
