/** What may come next in a filter, at the place where somebody types. */

import { KEYS, quote, splitTerms, type Key } from "./filter";

export interface Suggestion {
  /** The term, or its beginning, as it would be written. */
  text: string;
  /** What it is, for people. */
  title: string;
  /** How many streams have it, where that is known. */
  count: number | null;
  /** The term is whole: what comes next is another one. */
  whole: boolean;
}

export interface Suggestions {
  /** The part of the text that a suggestion takes the place of. */
  start: number;
  end: number;
  items: Suggestion[];
}

/** Values of keys that have names, with what else is known of each. */
export type Known = Partial<Record<Key, readonly KnownValue[]>>;

export interface KnownValue {
  value: string;
  title?: string;
  count?: number | null;
}

const ITEMS_MAX = 12;

export function suggest(text: string, caret: number, known: Known): Suggestions {
  const term = splitTerms(text).find((each) => each.start <= caret && caret <= each.end);
  if (term === undefined) return { start: caret, end: caret, items: keysLike("", text) };
  const { start, end } = term;
  const typed = term.key === "" ? text.slice(start, caret) : term.value;
  const found = term.key === "" ? [...keysLike(typed, text), ...anyLike(typed, known)] : [];
  if (term.key !== "") found.push(...valuesLike(term.key, typed, known));
  const written = text.slice(start, end);
  return {
    start,
    end,
    items: found.filter((item) => item.text !== written).slice(0, ITEMS_MAX),
  };
}

/** The text with a suggestion taken, and where the caret is then. */
export function take(text: string, at: Suggestions, item: Suggestion) {
  const before = text.slice(0, at.start) + item.text + (item.whole ? " " : "");
  const after = item.whole ? text.slice(at.end).trimStart() : text.slice(at.end);
  return { text: before + after, caret: before.length };
}

/** Keys that begin so and are not there yet. */
function keysLike(typed: string, text: string): Suggestion[] {
  const used = new Set(splitTerms(text).map((term) => term.key));
  return Object.entries(KEYS)
    .filter(([key]) => key.startsWith(typed.toLowerCase()) && !used.has(key as Key))
    .map(([key, { title, example }]) => ({
      text: `${key}:`,
      title: `${title}, such as ${example}`,
      count: null,
      whole: false,
    }));
}

/** Named values of any key. */
function anyLike(typed: string, known: Known): Suggestion[] {
  const named: Key[] = ["svc", "pat", "tag", "profile"];
  return typed.length < 2 ? [] : named.flatMap((key) => valuesLike(key, typed, known));
}

/** Values of a key: those that begin so before those that have it somewhere. */
function valuesLike(key: Key, typed: string, known: Known): Suggestion[] {
  const wanted = typed.toLowerCase();
  const place = (value: string) => value.toLowerCase().indexOf(wanted);
  const values: readonly KnownValue[] = known[key] ?? KEYS[key].values.map((value) => ({ value }));
  return values
    .filter(({ value }) => place(value) >= 0)
    .sort((a, b) => Number(place(a.value) > 0) - Number(place(b.value) > 0))
    .map(({ value, title, count }) => ({
      text: `${key}:${quote(value)}`,
      title: title ?? "",
      count: count ?? null,
      whole: true,
    }));
}
