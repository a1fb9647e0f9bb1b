/**
 * An HTTP/1 request as a curl command.
 *
 * Rules: it is for people who paste it into a shell, and the request came from an attacker. So every
 * word is quoted (literals.ts); nothing of it can be an option, name a file (`@`), or be a pattern of
 * curl's own (`--globoff`); the address is the server's own, whatever the request says.
 */

import { isPrintable, printf, shellWord } from "./literals";

export interface HttpRequest {
  /** The head as sent, request line first. */
  head: Uint8Array;
  /** Without chunk framing. */
  body: Uint8Array;
  server: { addr: string; port: number };
}

const CR = 13;
const LF = 10;
const SPACE = 32;
const COLON = 58;
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/; // RFC 9110, 5.6.2
/** curl works these out itself. */
const COMPUTED = new Set(["content-length", "transfer-encoding"]);
/** curl adds these unless told otherwise. */
const ADDED = ["user-agent", "accept"];
const INLINE_MAX = 4096; // octets of a body in the command's own words; longer ones come by a pipe

export function curlOf({ head, body, server }: HttpRequest): string {
  const lines = linesOf(head);
  const { method, target, version } = requestLine(lines[0] ?? new Uint8Array());
  const host = server.addr.includes(":") ? `[${server.addr}]` : server.addr;
  const origin = `http://${host}:${server.port}`;
  const words: string[] = ["curl", "--globoff", "--path-as-is"];
  if (version === "HTTP/1.0") words.push("--http1.0");
  if (method === "HEAD") words.push("--head");
  else if (method !== (body.length > 0 ? "POST" : "GET"))
    words.push(`--request ${shellWord(ascii(method))}`);
  if (target.startsWith("/")) words.push(shellWord(ascii(origin + target)));
  else words.push(`--request-target ${shellWord(ascii(target))}`, shellWord(ascii(`${origin}/`)));
  words.push(...headerWords(lines.slice(1), body.length > 0));
  const plain = body.length <= INLINE_MAX && body.every(isPrintable);
  if (body.length > 0 && plain) words.push(`--data-raw ${shellWord(body)}`);
  if (body.length > 0 && !plain) words.push("--data-binary @-");
  const command = words.join(" \\\n  ");
  return body.length > 0 && !plain ? `${printf(body)} | ${command}` : command;
}

function headerWords(lines: readonly Uint8Array[], hasBody: boolean): string[] {
  const words: string[] = [];
  const seen = new Set<string>();
  for (const line of lines) {
    const colon = line.indexOf(COLON);
    const name = latin1(line.subarray(0, Math.max(0, colon))).trimEnd();
    if (!TOKEN.test(name) || COMPUTED.has(name.toLowerCase())) continue;
    seen.add(name.toLowerCase());
    const value = latin1(line.subarray(colon + 1)).trim();
    const field = value === "" ? `${name};` : `${name}: ${value}`;
    words.push(`--header ${shellWord(octetsOf(field))}`);
  }
  const added = hasBody ? [...ADDED, "content-type"] : ADDED;
  for (const name of added) if (!seen.has(name)) words.push(`--header '${name}:'`);
  return words;
}

/** RFC 9112, 3: what stands between the spaces; octets that a URL cannot have are percent-encoded. */
function requestLine(line: Uint8Array): { method: string; target: string; version: string } {
  const first = line.indexOf(SPACE);
  const last = line.lastIndexOf(SPACE);
  const method = latin1(line.subarray(0, first < 0 ? line.length : first));
  const version = last > first ? latin1(line.subarray(last + 1)) : "";
  const target =
    first < 0 ? new Uint8Array() : line.subarray(first + 1, last > first ? last : undefined);
  let text = "";
  for (const octet of target)
    text +=
      isPrintable(octet) && octet !== SPACE && octet !== 0x23
        ? String.fromCharCode(octet)
        : `%${octet.toString(16).toUpperCase().padStart(2, "0")}`;
  return { method: TOKEN.test(method) ? method : "GET", target: text || "/", version };
}

/** Lines up to the empty one; folded ones are left out (RFC 9112, 5.2: nobody sends them). */
function linesOf(head: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  let at = 0;
  while (at < head.length) {
    const found = head.indexOf(LF, at);
    const end = found < 0 ? head.length : found;
    const line = head.subarray(at, end > at && head[end - 1] === CR ? end - 1 : end);
    at = end + 1;
    if (line.length === 0 && lines.length > 0) break;
    const folded = lines.length > 0 && (line[0] === SPACE || line[0] === 9);
    if (line.length > 0 && !folded) lines.push(line);
  }
  return lines;
}

function latin1(octets: Uint8Array): string {
  let text = "";
  for (const octet of octets) text += String.fromCharCode(octet);
  return text;
}

function octetsOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

const ascii = octetsOf;
