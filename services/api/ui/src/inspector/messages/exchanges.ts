/** Requests with their answers, as rows of a table. */

import type { Message } from "./useMessages";

export interface Exchange {
  /** What came first: a request, or a message that stands alone. */
  first: Message;
  answer: Message | null;
}

/** In the order in which they began. A message whose counterpart is not there is its own row. */
export function exchangesOf(messages: readonly Message[]): Exchange[] {
  const rows = new Map<string, Exchange>();
  for (const message of messages) {
    const asked = message.pair_id === null ? undefined : rows.get(message.pair_id);
    if (asked?.answer === null && asked.first.direction !== message.direction)
      asked.answer = message;
    else rows.set(message.message_id, { first: message, answer: null });
  }
  return [...rows.values()];
}

export const COLUMNS = "from method target status type length at took".split(" ");
const OF_HTTP = new Set(["method", "type"]);

/** What a table of these has columns for. A message that is no HTTP says in its summary what it is,
 * which needs the room of the columns that would say it again. */
export function columnsOf(rows: readonly Exchange[]): string[] {
  if (rows.some(({ first }) => first.protocol === "http1")) return COLUMNS;
  return COLUMNS.filter((name) => !OF_HTTP.has(name));
}

export interface Cells {
  method: string;
  target: string;
  status: string;
  /** The status is not a success. */
  bad: boolean;
  type: string;
  octets: number | null;
  took_us: number | null;
}

export function cellsOf({ first, answer }: Exchange): Cells {
  const shown = answer ?? first;
  const code = numberOf(shown.detail["status_code"]);
  const rcode = answer && textOf(answer.detail["rcode"]);
  const http = first.protocol === "http1";
  return {
    method: textOf(first.detail["method"]) ?? first.kind.replaceAll("_", " "),
    target: (http ? textOf(first.detail["target"]) : null) ?? first.summary,
    status:
      code !== null ? String(code) : (rcode ?? (shown.status === "complete" ? "" : wordOf(shown))),
    bad:
      (code ?? 0) >= 400 || (rcode !== null && rcode !== "NOERROR") || shown.status !== "complete",
    type: http ? shortType(headerOf(shown, "content-type") ?? "") : first.protocol,
    octets: bodyOctets(shown),
    took_us: answer && answer.ts_us - first.ts_us,
  };
}

/** `application/json; charset=utf-8` → `json` */
function shortType(value: string): string {
  return (value.split(";")[0] ?? "").trim().replace(/^(application|text|image)\//, "");
}

function wordOf(message: Message): string {
  return message.note?.replaceAll("_", " ") ?? message.status.replaceAll("_", " ");
}

function bodyOctets({ body_start, body_end, start, end, protocol }: Message): number | null {
  if (body_start !== null) return body_end === null ? null : body_end - body_start;
  if (protocol === "http1") return 0;
  return end === null ? null : end - start;
}

export function headersOf(message: Message): [string, string][] {
  const { headers } = message.detail;
  if (!Array.isArray(headers)) return [];
  return headers.filter(
    (field): field is [string, string] =>
      Array.isArray(field) && typeof field[0] === "string" && typeof field[1] === "string",
  );
}

function headerOf(message: Message, name: string): string | undefined {
  return headersOf(message).find(([key]) => key.toLowerCase() === name)?.[1];
}

function textOf(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

function numberOf(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}

/** The exchange whose messages a place is of: the last that begins at it or before; -1 = none. */
export function exchangeAt(
  rows: readonly Exchange[],
  direction: Message["direction"] | null,
  at: number | null,
): number {
  if (at === null) return -1;
  return rows.findLastIndex(({ first, answer }) =>
    [first, answer].some((m) => m?.direction === direction && m.start <= at),
  );
}
