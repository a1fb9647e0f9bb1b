/** Where a pattern's value is wrong, from what the API says of it. */

import { ApiError } from "../../api/client";

export interface ValueFault {
  /** The value around the fault; `bad` is empty when something is missing at its end. */
  before: string;
  bad: string;
  after: string;
  /** Of the fault, in UTF-16 units: where the caret goes. */
  at: number;
  /** Characters before it. */
  characters: number;
  says: string;
}

/** null when the error is of another kind. Regular expressions are counted in bytes of UTF-8, the
 * others in characters. */
export function faultOf(error: unknown, kind: string, value: string): ValueFault | null {
  if (!(error instanceof ApiError) || error.status !== 400) return null;
  const form = /^(?:search: )?(.*?),? at position (\d+)$/s.exec(error.message);
  if (!form) return null;
  const position = Number(form[2]);
  const at = kind === "regex" ? unitsOfBytes(value, position) : unitsOfPoints(value, position);
  const bad = String.fromCodePoint(value.codePointAt(at) ?? 0).slice(0, value.length - at);
  const says = [form[1], error.hint].filter(Boolean).join("; ");
  return {
    before: value.slice(0, at),
    bad,
    after: value.slice(at + bad.length),
    at,
    characters: Array.from(value.slice(0, at)).length,
    says,
  };
}

function unitsOfPoints(value: string, points: number): number {
  return unitsOf(value, points, () => 1);
}

function unitsOfBytes(value: string, bytes: number): number {
  const encoder = new TextEncoder();
  return unitsOf(value, bytes, (character) => encoder.encode(character).length);
}

/** UTF-16 units of the characters that fit into `most`. */
function unitsOf(value: string, most: number, sizeOf: (character: string) => number): number {
  let units = 0;
  let seen = 0;
  for (const character of value) {
    seen += sizeOf(character);
    if (seen > most) break;
    units += character.length;
  }
  return units;
}
