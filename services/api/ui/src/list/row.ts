/** A stream as the list shows it: without its previews, which are most of its bytes. */

import type { Numbered } from "../api/queries";

export interface Row extends Omit<Numbered, "directions"> {
  clientBytes: number;
  serverBytes: number;
}

export function toRow({ directions, ...stream }: Numbered): Row {
  const { a_to_b, b_to_a } = directions;
  const fromA = stream.client === "a";
  return {
    ...stream,
    clientBytes: fromA ? a_to_b.bytes : b_to_a.bytes,
    serverBytes: fromA ? b_to_a.bytes : a_to_b.bytes,
  };
}

export function endsOf(row: Pick<Row, "client" | "endpoint_a" | "endpoint_b">) {
  return row.client === "a"
    ? { client: row.endpoint_a, server: row.endpoint_b }
    : { client: row.endpoint_b, server: row.endpoint_a };
}
