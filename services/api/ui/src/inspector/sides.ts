/** Who of a stream is the client: directions by name have no side, people think in sides. */

import type { DirectionName, Stream } from "../api/client";

export type Side = "client" | "server";

export const LETTER: Record<Side, string> = { client: "C", server: "S" };
export const ARROW: Record<Side, string> = { client: "►", server: "◄" };

export function sideOf(stream: Pick<Stream, "client">, direction: DirectionName): Side {
  return (stream.client === "a") === (direction === "a_to_b") ? "client" : "server";
}

export function directionOf(stream: Pick<Stream, "client">, side: Side): DirectionName {
  return sideOf(stream, "a_to_b") === side ? "a_to_b" : "b_to_a";
}

/** Client and server, as endpoints. */
export function endsOf(stream: Pick<Stream, "client" | "endpoint_a" | "endpoint_b">) {
  const { endpoint_a: a, endpoint_b: b } = stream;
  return stream.client === "a" ? { client: a, server: b } : { client: b, server: a };
}

/** An offset as heads of turns and dumps show it. */
export function hexOffset(offset: number): string {
  return offset.toString(16).padStart(6, "0");
}
