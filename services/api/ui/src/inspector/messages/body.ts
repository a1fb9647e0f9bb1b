/** Bytes of messages, as much of them as somebody wants to see. */

import { request, send, type DirectionName, type Schemas } from "../../api/client";
import { concat, fromBase64, type Octets } from "../octets/base64";

export interface Body {
  octets: Octets;
  /** There is more than was read. */
  more: boolean;
  /** How its codings came off: `http_chunked=applied, gzip=applied`. */
  codings: string;
  /** A bound of the server cut it. */
  cut: boolean;
}

/** The first bytes of a message's body; the rest is not fetched. */
export async function readBody(
  path: string,
  decoded: boolean,
  most: number,
  signal: AbortSignal,
): Promise<Body> {
  const response = await send(path, { params: { decoded }, signal });
  const pieces: Uint8Array[] = [];
  let length = 0;
  const reader = response.body?.getReader();
  let ended = reader === undefined;
  while (reader && length <= most) {
    const { value, done } = await reader.read();
    ended = done;
    if (done) break;
    pieces.push(value);
    length += value.length;
  }
  if (!ended) void reader?.cancel();
  return {
    octets: concat(pieces).subarray(0, most),
    more: length > most,
    codings: response.headers.get("X-Flowmate-Decode") ?? "",
    cut: response.headers.get("X-Flowmate-Truncated") === "true",
  };
}

const OCTETS_MAX = 1024 * 1024; // to copy

/** Octets [start, end) of a direction, holes left out; at most a megabyte of them. */
export async function readOctets(
  id: string,
  direction: DirectionName,
  start: number,
  end: number,
): Promise<Octets> {
  const pieces: Octets[] = [];
  const stop = Math.min(end, start + OCTETS_MAX);
  for (let at = start; at < stop;) {
    const content = await request<Schemas["TransformedContent"]>(`/api/streams/${id}/content`, {
      params: { direction, start: at, len: stop - at, mode: "raw" },
    });
    pieces.push(...content.segments.map((segment) => fromBase64(segment.base64)));
    if (content.requested_end <= at) break;
    at = content.requested_end;
  }
  return concat(pieces);
}
