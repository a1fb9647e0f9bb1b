/** Where `l`, `h` step to: each turn, and each message that begins inside of one. */

import type { DirectionName } from "../../api/client";
import type { Turn } from "./turns";

export interface Place {
  direction: DirectionName;
  at: number;
}

export function placesOf(
  turns: readonly Turn[],
  messages: readonly { direction: DirectionName; start: number }[],
): Place[] {
  return turns
    .filter((turn) => !turn.gap)
    .flatMap((turn) => {
      const inside = messages
        .filter((m) => m.direction === turn.direction && turn.start < m.start && m.start < turn.end)
        .map((m) => m.start);
      const starts = [...new Set([turn.start, ...inside])].sort((a, b) => a - b);
      return starts.map((at) => ({ direction: turn.direction, at }));
    });
}

/** The place `by` steps from the one that (direction, at) lies in; null at an end. */
export function stepFrom(
  places: readonly Place[],
  now: { direction: DirectionName | null; at: number | null },
  by: 1 | -1,
): Place | null {
  const { at } = now;
  const here =
    at === null
      ? -1
      : places.findLastIndex((place) => place.direction === now.direction && place.at <= at);
  if (here < 0) return places[0] ?? null;
  return places[here + by] ?? null;
}
