/**
 * How somebody looks at the turns: which part of a long one is shown, which are swapped between raw
 * and decoded. Nothing of it is in a link: a link's byte range opens what is needed.
 */

import type { Turn } from "./turns";

/** Shown of a turn at first, and added by each "show more". */
export const CUT_OCTETS = 64 * 1024;
/** Shown before a place that lies further in. */
const LEAD_OCTETS = 4096;

export interface Look {
  /** Offsets shown of a turn, logical; without an entry its first CUT_OCTETS. */
  shown: Readonly<Record<string, { from: number; to: number }>>;
  /** Turns that are not as the rest: raw among decoded ones, or the other way round. */
  swapped: ReadonlySet<string>;
}

export type LookAction =
  | { kind: "more" | "before"; turn: Turn }
  | { kind: "reveal"; turn: Turn; at: number; end: number }
  | { kind: "swap"; turn: Turn }
  | { kind: "unswap" };

export const LOOK: Look = { shown: {}, swapped: new Set() };

export function look(state: Look, action: LookAction): Look {
  if (action.kind === "unswap") return { ...state, swapped: new Set() };
  const { turn } = action;
  const { from, to } = shownOf(state, turn);
  switch (action.kind) {
    case "more":
      return show(state, turn, from, to + CUT_OCTETS);
    case "before":
      return show(state, turn, from - CUT_OCTETS, to);
    case "reveal":
      return revealed(state, turn, action.at, action.end);
    case "swap": {
      const swapped = new Set(state.swapped);
      if (!swapped.delete(turn.key)) swapped.add(turn.key);
      return { ...state, swapped };
    }
  }
}

/** Offsets [from, to) shown of a turn. */
export function shownOf(state: Look, turn: Turn): { from: number; to: number } {
  const shown = state.shown[turn.key] ?? { from: turn.start, to: turn.start + CUT_OCTETS };
  return { from: Math.max(turn.start, shown.from), to: Math.min(turn.end, shown.to) };
}

/** What is near grows; what is far off moves there, so that little is on the page. */
function revealed(state: Look, turn: Turn, at: number, end: number): Look {
  const { from, to } = shownOf(state, turn);
  const last = Math.min(end, turn.end, at + CUT_OCTETS);
  if (at >= from && last <= to) return state;
  if (at >= from && last <= to + CUT_OCTETS) return show(state, turn, from, to + CUT_OCTETS);
  const begin = Math.max(turn.start, at - LEAD_OCTETS);
  return show(state, turn, begin, begin + CUT_OCTETS + LEAD_OCTETS);
}

function show(state: Look, turn: Turn, from: number, to: number): Look {
  return {
    ...state,
    shown: { ...state.shown, [turn.key]: { from: Math.max(turn.start, from), to } },
  };
}
