/** A stream as the list shows it: without its previews, which are most of its bytes. */

import type { Stream } from "../api/client";

export interface Row extends Omit<Stream, "directions"> {
  clientBytes: number;
  serverBytes: number;
  /** Who of a TCP connection was not captured although both were there. */
  silent: "client" | "server" | null;
}

export function toRow({ directions, ...stream }: Stream): Row {
  const { a_to_b, b_to_a } = directions;
  const fromA = stream.client === "a";
  return {
    ...stream,
    clientBytes: fromA ? a_to_b.bytes : b_to_a.bytes,
    serverBytes: fromA ? b_to_a.bytes : a_to_b.bytes,
    silent: silentOf(stream, fromA ? [a_to_b, b_to_a] : [b_to_a, a_to_b]),
  };
}

/** UDP may go one way; of TCP a side is missing, unless nobody has answered. */
function silentOf(
  { protocol, status }: Pick<Stream, "protocol" | "status">,
  [client, server]: [Stream["directions"]["a_to_b"], Stream["directions"]["a_to_b"]],
): Row["silent"] {
  if (protocol !== "tcp" || status === "attempt") return null;
  if (client.packets > 0 && server.packets > 0) return null;
  return client.packets > 0 ? "server" : "client";
}

export function endsOf(row: Pick<Row, "client" | "endpoint_a" | "endpoint_b">) {
  return row.client === "a"
    ? { client: row.endpoint_a, server: row.endpoint_b }
    : { client: row.endpoint_b, server: row.endpoint_a };
}
