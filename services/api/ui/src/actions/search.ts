/** Picked octets as something to look for. */

import type { Schemas } from "../api/client";
import { asText } from "../inspector/octets/text";
import { toHex } from "../inspector/octets/hex";

export const VALUE_MAX = 4096; // characters, as the API takes them

export type Wanted = Pick<Schemas["NewSearch"], "kind" | "value">;

/** As text where it is some, else in hexadecimal; null when it is too long to be looked for. */
export function wantedOf(octets: Uint8Array): Wanted | null {
  if (octets.length === 0 || octets.length > VALUE_MAX) return null;
  const text = asText(octets);
  if (text !== null && !text.includes("\0")) return { kind: "substring", value: text };
  const value = toHex(octets, "");
  return value.length <= VALUE_MAX ? { kind: "binary", value } : null;
}
