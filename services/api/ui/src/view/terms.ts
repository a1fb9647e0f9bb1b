/** Changes to the text of a filter: one term more, less, or another; the rest stays as typed. */

import { parseTime, splitTerms, withTerm, type Key } from "./filter";

/** The text without its term of that place. */
export function dropTerm(text: string, place: number): string {
  return splitTerms(text)
    .filter((_, at) => at !== place)
    .map((term) => text.slice(term.start, term.end))
    .join(" ");
}

/** The value of a key's term, null when there is none. */
export function valueOf(text: string, key: Key): string | null {
  return splitTerms(text).find((term) => term.key === key)?.value ?? null;
}

/** Sets a key to a value, or takes its term out when it has that value already. */
export function toggleTerm(text: string, key: Key, value: string): string {
  const same = valueOf(text, key)?.toLowerCase() === value.toLowerCase();
  return withTerm(text, key, same ? null : value);
}

/** The text with this time range; null = without. */
export function withRange(text: string, range: { since: number; until: number } | null): string {
  if (range === null) return withTerm(withTerm(text, "since", null), "until", null);
  const { since, until } = range;
  // as precise as can be seen: a thousandth of the range
  const step = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, (until - since) / 1000))));
  const from = filterTime(Math.floor(since / step) * step);
  const to = filterTime(Math.ceil(until / step) * step);
  return withTerm(withTerm(text, "since", from), "until", to);
}

/** µs since the epoch as a filter takes it, with its date: links are read on other days. */
export function filterTime(us: number): string {
  const micros = ((us % 1_000_000) + 1_000_000) % 1_000_000;
  const text = new Date((us - micros) / 1000).toISOString().slice(0, 19);
  const fraction = String(micros).padStart(6, "0").replace(/0+$/, "");
  return fraction ? `${text}.${fraction}` : text;
}

/** Some time in it has no date, so it depends on the day. */
export function needsDay(text: string): boolean {
  return splitTerms(text).some(
    ({ key, value }) =>
      (key === "since" || key === "until") && parseTime(value, 0) !== parseTime(value, 86_400e6),
  );
}
