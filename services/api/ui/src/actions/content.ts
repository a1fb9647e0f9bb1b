/** What is copied, and how it is written. */

import { request, type Schemas } from "../api/client";
import { asText } from "../inspector/octets/text";
import { concat, fromBase64, toBase64, type Octets } from "../inspector/octets/base64";
import { toHex } from "../inspector/octets/hex";
import { endsOf } from "../inspector/sides";
import type { ListedStream } from "./cached";
import { curlOf } from "./curl";
import { pythonBytes } from "./literals";

export type Form = "text" | "hex" | "base64" | "python";

export function written(octets: Octets, form: Form): string {
  switch (form) {
    case "text":
      return asText(octets) ?? new TextDecoder().decode(octets);
    case "hex":
      return toHex(octets);
    case "base64":
      return toBase64(octets);
    case "python":
      return pythonBytes(octets);
  }
}

type Message = Schemas["Message"];

/** The HTTP request that a place is of, or that what is there answers, as curl. */
export async function curlAt(
  stream: ListedStream,
  place: { direction: string; start: number },
): Promise<string> {
  const message = await requestAt(stream.stream_id_hex, place);
  const { server } = endsOf(stream);
  const { direction, header_start: start, header_end, body_start, body_end } = message;
  if (header_end === null || (body_start !== null && body_end === null))
    throw new Error("the request has not ended yet");
  const head = await read(stream, direction, start, header_end);
  const chunked = message.detail["body_framing"] === "chunked";
  const body =
    body_start === null || body_end === null
      ? new Uint8Array()
      : await read(stream, direction, body_start, body_end, chunked ? "http_chunked" : undefined);
  return curlOf({ head, body, server });
}

async function requestAt(
  id: string,
  place: { direction: string; start: number },
): Promise<Message> {
  const around = await messageAt(id, place);
  if (around?.kind === "response" && around.pair_id !== null) {
    const [asked] = (await page(id, Number(around.pair_id), 1)).messages;
    if (asked?.kind === "request") return asked;
  } else if (around?.kind === "request" && around.protocol === "http1") return around;
  throw new Error("there is no HTTP request here");
}

/** The last HTTP message of the direction that begins at the place or before it. */
async function messageAt(
  id: string,
  place: { direction: string; start: number },
): Promise<Message | undefined> {
  let found: Message | undefined;
  for (let cursor: number | null = 0; cursor !== null;) {
    const { messages, next_cursor }: Schemas["StreamMessages"] = await page(id, cursor, 512);
    for (const message of messages) {
      if (message.protocol !== "http1" || message.direction !== place.direction) continue;
      if (message.start > place.start) return found;
      found = message;
    }
    cursor = next_cursor;
  }
  return found;
}

function page(id: string, cursor: number, limit: number) {
  return request<Schemas["StreamMessages"]>(`/api/streams/${id}/messages`, {
    params: { cursor, limit },
  });
}

const WINDOW = 64 * 1024;
const BODY_MAX = 1024 * 1024; // a command is pasted by hand

/** Octets [start, end) of a direction. Throws when some are missing. */
async function read(
  stream: ListedStream,
  direction: string,
  start: number,
  end: number,
  transform?: string,
): Promise<Octets> {
  if (end - start > BODY_MAX) throw new Error("the body is longer than 1 MB");
  const pieces: Octets[] = [];
  for (let at = start; at < end;) {
    const content: Schemas["TransformedContent"] = await request(
      `/api/streams/${stream.stream_id_hex}/content`,
      { params: { direction, start: at, len: Math.min(WINDOW, end - at), mode: "raw", transform } },
    );
    const stop = content.requested_end;
    if (content.gaps.length > 0 || stop <= at) throw new Error("bytes of the request are missing");
    if (transform !== undefined) {
      if (stop < end) throw new Error("the chunked body is too long");
      return fromBase64(content.transform?.base64 ?? "");
    }
    pieces.push(...content.segments.map((segment) => fromBase64(segment.base64)));
    at = stop;
  }
  return concat(pieces);
}
