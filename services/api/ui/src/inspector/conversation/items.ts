/** The turns as one long list of small things: only those in sight are on the page. */

import type { Mode } from "../../view/view";
import { LINE_OCTETS } from "../octets/encoded";
import { LINE } from "../octets/hex";
import { cutText } from "../octets/text";
import { shownOf, type Look } from "./look";
import { octetsIn, type Talk, type Turn } from "./turns";

export type Item =
  | { kind: "head"; key: string; turn: Turn; decoded: boolean }
  /** Octets [start, end) of a turn. */
  | { kind: "octets"; key: string; turn: Turn; start: number; end: number }
  | { kind: "decoded" | "gap"; key: string; turn: Turn }
  /** There is more of the turn than is shown. */
  | { kind: "before" | "more"; key: string; turn: Turn; octets: number }
  | { kind: "end"; key: string };

const TEXT_OCTETS = 8192;
const HEX_OCTETS = 64 * LINE;
const BASE64_OCTETS = 64 * LINE_OCTETS;
/** px */
const LINE_HEIGHT = 16;
const HEAD_HEIGHT = 22;

export function itemsOf(talk: Talk, state: Look, mode: Mode, decoding: boolean): Item[] {
  const items: Item[] = [];
  for (const turn of talk.turns) {
    if (turn.gap) {
      items.push({ kind: "gap", key: turn.key, turn });
      continue;
    }
    const decoded = decoding !== state.swapped.has(turn.key);
    items.push({ kind: "head", key: `${turn.key}:head`, turn, decoded });
    if (decoded) items.push({ kind: "decoded", key: `${turn.key}:decoded`, turn });
    else items.push(...octetItems(turn, state, mode));
  }
  if (!talk.ended) items.push({ kind: "end", key: "end" });
  return items;
}

function octetItems(turn: Turn, state: Look, mode: Mode): Item[] {
  const shown = shownOf(state, turn);
  const [from, to] =
    mode === "text" ? [whole(turn, shown.from), whole(turn, shown.to)] : [shown.from, shown.to];
  const items: Item[] = [];
  const key = (what: string | number) => `${turn.key}:${what}`;
  if (from > turn.start)
    items.push({ kind: "before", key: key("before"), turn, octets: from - turn.start });
  for (let at = from; at < to;) {
    const end = pieceEnd(turn, at, to, mode);
    items.push({ kind: "octets", key: key(`${mode}:${at}`), turn, start: at, end });
    at = end;
  }
  if (to < turn.end) items.push({ kind: "more", key: key("more"), turn, octets: turn.end - to });
  return items;
}

/** At a place, or a little before it where it lies in a character of UTF-8. */
function whole(turn: Turn, at: number): number {
  if (at <= turn.start || at >= turn.end) return at;
  const begin = Math.max(turn.start, at - 3);
  const octets = octetsIn(turn, begin, at + 1);
  let i = octets.length - 1;
  while (i > 0 && ((octets[i] ?? 0) & 0xc0) === 0x80) i--;
  return ((octets[i] ?? 0) & 0xc0) === 0x80 ? at : begin + i;
}

/** Pieces of a dump begin where its lines do, counted from the turn's start. */
function pieceEnd(turn: Turn, at: number, to: number, mode: Mode): number {
  if (mode !== "text") {
    const size = mode === "hex" ? HEX_OCTETS : BASE64_OCTETS;
    const line = mode === "hex" ? LINE : LINE_OCTETS;
    return Math.min(to, at + size - ((at - turn.start) % line));
  }
  if (to - at <= TEXT_OCTETS) return to;
  return at + cutText(octetsIn(turn, at, Math.min(to, at + TEXT_OCTETS + 4)), 0, TEXT_OCTETS);
}

/** px, before it was measured. */
export function heightOf(item: Item | undefined, mode: Mode): number {
  if (item?.kind !== "octets") return item?.kind === "decoded" ? 10 * LINE_HEIGHT : HEAD_HEIGHT;
  const perLine = mode === "hex" ? LINE : mode === "raw" ? LINE_OCTETS : 60;
  return Math.max(1, Math.ceil((item.end - item.start) / perLine)) * LINE_HEIGHT;
}

/** The item that shows a place; -1 when none does. */
export function itemAt(items: readonly Item[], turn: Turn, at: number): number {
  let head = -1;
  for (const [i, item] of items.entries()) {
    if (item.kind === "end" || item.turn !== turn) continue;
    if (item.kind === "octets" && item.start <= at && at < item.end)
      return at === turn.start ? head : i;
    if (head < 0) head = i;
  }
  return head;
}
