/**
 * The filter's grammar: `svc:http port:8080 size:>4k fav:yes "GET /flag"`.
 *
 * Terms stand apart by spaces and must all hold. A term is `key:value`, or text that a stream shows.
 * A value with spaces goes in double quotes, `\"` and `\\` inside. `data:` takes /a regex/ as well,
 * up to a / that ends a word.
 * Each fault says where it is; the other terms still count.
 */

import type { operations } from "../api/schema";
import { CONTENT_KINDS, PROTOCOLS, SERVICES, STATUSES } from "../api/names";

export interface Term {
  /** The key as the API's people write it (an alias is resolved), "" for free text. */
  key: Key | "";
  value: string;
  /** Offsets in the text of the filter, end exclusive. */
  start: number;
  end: number;
  fault: string | null;
}

type Query = NonNullable<operations["list_streams"]["parameters"]["query"]>;
/** What `/api/streams` takes as its filter; see its description for each. */
export type StreamParams = Omit<Query, "search" | "order" | "limit" | "cursor" | "offset">;

/** Content that is looked for in what is retained. */
export interface DataQuery {
  kind: "substring" | "regex" | "binary";
  value: string;
}

export interface Filter {
  terms: Term[];
  params: StreamParams;
  data: DataQuery | null;
  faults: Term[];
}

/** What names and times mean here and now. */
export interface Context {
  patterns: readonly { id: number; name: string }[];
  /** Times without a date are of the day on which this one lies; µs since the epoch. */
  dayOf_us: number;
}

export interface KeyHelp {
  values: readonly string[];
  example: string;
  title: string;
}

const YES_NO = ["yes", "no"];

export const KEYS = {
  svc: { values: SERVICES, example: "svc:http", title: "service" },
  port: { values: [], example: "port:8080", title: "port of either end" },
  addr: { values: [], example: "addr:10.0.0.0/8", title: "address or block of either end" },
  proto: { values: PROTOCOLS, example: "proto:tcp", title: "transport protocol" },
  kind: { values: CONTENT_KINDS, example: "kind:text", title: "kind of content" },
  status: { values: STATUSES, example: "status:open", title: "status" },
  size: { values: [], example: "size:>4k", title: "bytes on the wire: >4k, <1M, 4k-1M" },
  since: { values: [], example: "since:09:10", title: "seen after" },
  until: { values: [], example: "until:09:15", title: "seen before" },
  pat: { values: [], example: "pat:flag", title: "a match of a pattern, by name or number" },
  tag: { values: [], example: "tag:exploit", title: "tag" },
  profile: { values: [], example: "profile:http", title: "profile" },
  fav: { values: YES_NO, example: "fav:yes", title: "favourites" },
  matched: { values: YES_NO, example: "matched:yes", title: "a match of any pattern" },
  hidden: { values: YES_NO, example: "hidden:yes", title: "hidden ones too" },
  text: { values: [], example: 'text:"GET /flag"', title: "summary or first bytes" },
  data: {
    values: [],
    example: "data:/flag\\{/",
    title: "retained content: text, /regex/ or hex:…",
  },
} as const satisfies Record<string, KeyHelp>;

export type Key = keyof typeof KEYS;

const ALIASES: Record<string, Key> = {
  service: "svc",
  protocol: "proto",
  pattern: "pat",
  favorite: "fav",
  favourite: "fav",
  host: "addr",
  ip: "addr",
};

/** What a filter means. Never throws. */
export function parseFilter(text: string, context: Context): Filter {
  const filter: Filter = { terms: splitTerms(text), params: {}, data: null, faults: [] };
  const words: string[] = [];
  const seen = new Set<string>();
  for (const term of filter.terms) {
    if (term.fault === null) term.fault = apply(term, filter, words, context);
    if (term.fault === null && term.key !== "" && seen.has(term.key))
      term.fault = `${term.key}: is given twice`;
    seen.add(term.key);
    if (term.fault !== null) filter.faults.push(term);
  }
  if (words.length > 0) filter.params.text = words.join(" ");
  return filter;
}

/** The terms of a text, values unquoted. */
export function splitTerms(text: string): Term[] {
  const terms: Term[] = [];
  let at = 0;
  for (;;) {
    while (at < text.length && /\s/.test(text.charAt(at))) at++;
    if (at >= text.length) return terms;
    const start = at;
    const named = /^([A-Za-z]+):/.exec(text.slice(at));
    const key = named ? keyOf(named[1] ?? "") : "";
    if (named && key !== null) at += named[0].length;
    const { value, end, fault } = readValue(text, at, key === "data");
    at = end;
    terms.push({
      key: key ?? "",
      value,
      start,
      end,
      fault: key === null ? unknownKey(named?.[1] ?? "") : fault,
    });
  }
}

function keyOf(name: string): Key | "" | null {
  const lower = name.toLowerCase();
  if (Object.hasOwn(KEYS, lower)) return lower as Key;
  return Object.hasOwn(ALIASES, lower) ? (ALIASES[lower] ?? null) : null;
}

function unknownKey(name: string): string {
  return `${name}: is no key; for text with a colon write "${name}:…" in quotes`;
}

function readValue(text: string, at: number, regex: boolean) {
  const quote = text.charAt(at);
  if (quote === '"' || (regex && quote === "/")) {
    let value = "";
    for (let i = at + 1; i < text.length; i++) {
      const c = text.charAt(i);
      const next = text.charAt(i + 1);
      if (c === "\\" && (next === quote || (quote === '"' && next === "\\"))) {
        value += next;
        i++;
      } else if (c === quote && (quote === '"' || next === "" || /\s/.test(next))) {
        return { value: quote === "/" ? `/${value}/` : value, end: i + 1, fault: null };
      } else value += c;
    }
    const hint = quote === "/" ? '; text that begins with / goes in "quotes"' : "";
    return { value, end: text.length, fault: `the closing ${quote} is missing${hint}` };
  }
  const end = at + (/^\S*/.exec(text.slice(at))?.[0].length ?? 0);
  return { value: text.slice(at, end), end, fault: null };
}

/** Writes what a term means into the filter; answers its fault. */
function apply(term: Term, filter: Filter, words: string[], context: Context): string | null {
  const { value } = term;
  const p = filter.params;
  if (value === "")
    return term.key === "" ? null : `${term.key}: has no value, such as ${KEYS[term.key].example}`;
  switch (term.key) {
    case "":
    case "text":
      words.push(value);
      return null;
    case "svc":
      return among(SERVICES, value, (name) => (p.service = name));
    case "port":
      if (!/^\d{1,5}$/.test(value) || Number(value) > 65535)
        return "a port is a number up to 65535";
      p.port = Number(value);
      return null;
    case "addr":
      if (!isAddress(value)) return "neither an address nor a block such as 10.0.0.0/8";
      p.addr = value;
      return null;
    case "proto":
      return among(PROTOCOLS, value, (name) => (p.protocol = name));
    case "kind":
      return among(CONTENT_KINDS, value, (name) => (p.content_kind = name));
    case "status":
      return among(STATUSES, value, (name) => (p.status = name));
    case "size":
      return applySize(value, p);
    case "since":
    case "until": {
      const us = parseTime(value, context.dayOf_us);
      if (us === null)
        return "a time is 09:10, 09:10:05.250, 2026-11-26T09:10 or µs since the epoch";
      p[term.key === "since" ? "since_us" : "until_us"] = us;
      return null;
    }
    case "pat": {
      const found = context.patterns.find(
        (each) => each.name === value || String(each.id) === value,
      );
      if (!found) return "no pattern of this name or number";
      p.pattern_id = found.id;
      return null;
    }
    case "tag":
      p.tag = value;
      return null;
    case "profile":
      p.profile = value;
      return null;
    case "fav":
      return yesNo(value, (yes) => yes && (p.only_favorites = true));
    case "matched":
      return yesNo(value, (yes) => yes && (p.only_matched = true));
    case "hidden":
      return yesNo(value, (yes) => yes && (p.include_hidden = true));
    case "data":
      filter.data = dataQuery(value);
      return null;
  }
}

/** An address or a block; IPv6 as URLs are checked (WHATWG URL, host parsing). */
function isAddress(value: string): boolean {
  const form = /^([0-9a-fA-F:.]+)(?:\/(\d{1,3}))?$/.exec(value);
  const [address, bits] = [form?.[1] ?? "", Number(form?.[2] ?? 0)];
  if (!address.includes(":"))
    return bits <= 32 && /^(?:\d{1,3}\.){3}\d{1,3}$/.test(address) && octetsFit(address);
  return bits <= 128 && URL.canParse(`http://[${address}]`);
}

function octetsFit(address: string): boolean {
  return address.split(".").every((octet) => Number(octet) < 256 && !/^0\d/.test(octet));
}

function dataQuery(value: string): DataQuery {
  if (value.length > 2 && value.startsWith("/") && value.endsWith("/"))
    return { kind: "regex", value: value.slice(1, -1) };
  if (/^hex:/i.test(value)) return { kind: "binary", value: value.slice(4) };
  return { kind: "substring", value };
}

function among<T extends string>(
  names: readonly T[],
  value: string,
  set: (name: T) => void,
): string | null {
  const name = names.find((each) => each === value.toLowerCase());
  if (name === undefined) return `one of ${names.join(", ")}`;
  set(name);
  return null;
}

function yesNo(value: string, set: (yes: boolean) => void): string | null {
  return among(YES_NO, value, (name) => set(name === "yes"));
}

function applySize(value: string, p: StreamParams): string | null {
  const form = /^(?:(>|>=|<|<=)(\d[\w.]*)|(\d[\w.]*)-(\d[\w.]*))$/.exec(value);
  const [first, second] = form?.[1] ? [form[2], undefined] : [form?.[3], form?.[4]];
  const low = parseSize(first);
  if (!form || low === null) return "a size is >4k, <1M or 4k-1M";
  if (form[1] === undefined) {
    const high = parseSize(second);
    if (high === null || high < low) return "a size is >4k, <1M or 4k-1M";
    p.min_bytes = low;
    p.max_bytes = high;
  } else if (form[1].startsWith(">")) p.min_bytes = form[1] === ">" ? low + 1 : low;
  else p.max_bytes = form[1] === "<" ? Math.max(0, low - 1) : low;
  return null;
}

const UNITS: Record<string, number> = { "": 1, b: 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 };

function parseSize(text: string | undefined): number | null {
  const form = /^(\d{1,12}(?:\.\d{1,6})?)([kmgt]?)b?$/i.exec(text ?? "");
  const unit = form && UNITS[(form[2] ?? "").toLowerCase()];
  const bytes = form && unit ? Math.round(Number(form[1]) * unit) : null;
  return Number.isSafeInteger(bytes) ? bytes : null;
}

/** µs since the epoch of a time as people write it, in UTC like everything shown here. */
export function parseTime(text: string, dayOf_us: number): number | null {
  if (/^\d{12,16}$/.test(text))
    return Number(text) <= Number.MAX_SAFE_INTEGER ? Number(text) : null;
  const form =
    /^(?:(\d{4})-(\d\d)-(\d\d)[T_ ]?)?(?:(\d{1,2}):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?Z?)?$/.exec(
      text,
    );
  if (!form || (form[1] === undefined && form[4] === undefined)) return null;
  if (Number(form[2] ?? 1) > 12 || Number(form[3] ?? 1) > 31) return null;
  const day = form[1]
    ? Date.UTC(Number(form[1]), Number(form[2]) - 1, Number(form[3]))
    : Math.floor(dayOf_us / 86_400_000_000) * 86_400_000;
  const [hours, minutes, seconds] = [form[4], form[5], form[6]].map((part) => Number(part ?? 0));
  if (hours === undefined || minutes === undefined || seconds === undefined) return null;
  if (hours > 23 || minutes > 59 || seconds > 59 || Number.isNaN(day)) return null;
  const micros = Number((form[7] ?? "").padEnd(6, "0"));
  return (day / 1000 + hours * 3600 + minutes * 60 + seconds) * 1_000_000 + micros;
}

/** A value as it must be written in a filter. */
export function quote(value: string): string {
  return /^[^\s"\\]+$/.test(value) ? value : `"${value.replace(/[\\"]/g, "\\$&")}"`;
}

/** The filter with one key's term set anew, or taken out (null); others stay as they were typed. */
export function withTerm(text: string, key: Key, value: string | null): string {
  const terms = splitTerms(text).filter((term) => term.key !== key);
  const kept = terms.map((term) => text.slice(term.start, term.end));
  if (value !== null) kept.push(`${key}:${quote(value)}`);
  return kept.join(" ");
}
