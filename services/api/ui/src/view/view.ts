/**
 * What is looked at, as the page's address says it: the only place where that is kept.
 *
 * `?q=svc:http&stream=…&tab=raw&dir=a_to_b&at=4096&mode=hex&decoder=gzip&panel=patterns`
 * What is not known is ignored, so that links of other versions still open.
 */

export const TABS = ["conversation", "messages", "matches", "raw", "packets"] as const;
export const MODES = ["text", "hex", "raw"] as const;
export const PANELS = ["patterns", "profiles", "rules", "search", "status", "help"] as const;
export type Tab = (typeof TABS)[number];
export type Mode = (typeof MODES)[number];
export type Panel = (typeof PANELS)[number];
export type Direction = "a_to_b" | "b_to_a";

export interface View {
  /** The filter as typed (see filter.ts). */
  q: string;
  order: "newest" | "oldest";
  /** The selected stream's id, 16 hex digits. */
  stream: string | null;
  tab: Tab;
  /** A place in the stream: direction (null: its profile's, else the client's) and logical offsets [at, at + len). */
  dir: Direction | null;
  at: number | null;
  len: number | null;
  /** null: as the stream's profile says. */
  mode: Mode | null;
  /** Transforms, joined with commas, as the API takes them; "" = as sent. */
  decoder: string;
  /** Which match of the stream is the current one, from 0. */
  match: number | null;
  panel: Panel | null;
  /** A search that is under way or was read. */
  search: string;
  /** What it looks for, to look for it again: direction:kind:value. */
  find: string;
}

export const EMPTY: View = {
  q: "",
  order: "newest",
  stream: null,
  tab: "conversation",
  dir: null,
  at: null,
  len: null,
  mode: null,
  decoder: "",
  match: null,
  panel: null,
  search: "",
  find: "",
};

const ID = /^[0-9a-f]{16}$/;
const DECODER = /^[a-z0-9_]{1,32}(,[a-z0-9_]{1,32}){0,15}$/;
const TEXT_MAX = 4096;

/** The view that an address's query describes. */
export function parseView(query: string): View {
  const given = new URLSearchParams(query);
  const text = (name: string) => (given.get(name) ?? "").slice(0, TEXT_MAX);
  return {
    q: text("q"),
    order: oneOf(["newest", "oldest"], given.get("order")) ?? EMPTY.order,
    stream: matching(ID, given.get("stream")),
    tab: oneOf(TABS, given.get("tab")) ?? EMPTY.tab,
    dir: oneOf(["a_to_b", "b_to_a"], given.get("dir")) ?? EMPTY.dir,
    at: count(given.get("at")),
    len: count(given.get("len")),
    mode: oneOf(MODES, given.get("mode")) ?? EMPTY.mode,
    decoder: matching(DECODER, given.get("decoder")) ?? "",
    match: count(given.get("match")),
    panel: oneOf(PANELS, given.get("panel")) ?? null,
    search: text("search"),
    find: text("find"),
  };
}

/** The query of a view: what is as in EMPTY is left out. */
export function formatView(view: View): string {
  const query = new URLSearchParams();
  for (const name of Object.keys(EMPTY) as (keyof View)[]) {
    const value = view[name];
    if (value !== EMPTY[name] && value !== null) query.set(name, String(value));
  }
  // what is legal in a query and read by people stays as it is
  return query.toString().replaceAll("%3A", ":").replaceAll("%2F", "/").replaceAll("%2C", ",");
}

function oneOf<T extends string>(names: readonly T[], value: string | null): T | null {
  return names.find((name) => name === value) ?? null;
}

function matching(form: RegExp, value: string | null): string | null {
  return value !== null && form.test(value) ? value : null;
}

function count(value: string | null): number | null {
  return value !== null && /^\d{1,15}$/.test(value) ? Number(value) : null;
}
