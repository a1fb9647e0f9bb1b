/** A hit in what stands around it, as text that can be shown on a line. */

import { visibleLine } from "../../format/visible";
import type { Hit } from "./found";

export interface Shown {
  before: string;
  match: string;
  after: string;
}

const BEFORE_MAX = 32; // characters: the hit itself must be in sight
const MATCH_MAX = 256;

/** Bytes decide where the hit begins and ends, not characters. */
export function contextOf(hit: Hit): Shown {
  const octets = octetsOf(hit.context_base64);
  const start = Math.min(octets.length, Math.max(0, hit.start - hit.context_start));
  const end = Math.min(octets.length, Math.max(start, hit.end - hit.context_start));
  const isText = hit.context_text !== null;
  const text = (from: number, to: number) => textOf(octets.subarray(from, to), isText);
  const before = onLine(text(0, start));
  return {
    before: before.length > BEFORE_MAX ? `…${before.slice(-BEFORE_MAX)}` : before,
    match: onLine(text(start, end).slice(0, MATCH_MAX)),
    after: onLine(text(end, octets.length)),
  };
}

/** Line ends are common: theirs is a glyph that fonts have and that is told at a glance. */
function onLine(text: string): string {
  return visibleLine(text.replace(/\r?\n/g, "↵"));
}

/** UTF-8 when all of it is, else ASCII with a dot for what is none. */
function textOf(octets: Uint8Array, isText: boolean): string {
  if (isText) return new TextDecoder().decode(octets);
  return [...octets]
    .map((octet) => (isPrintable(octet) ? String.fromCharCode(octet) : "·"))
    .join("");
}

function isPrintable(octet: number): boolean {
  return octet >= 0x20 && octet < 0x7f;
}

function octetsOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
