/** What is marked in turns: matches as the server found them, and the place that a link leads to. */

import type { DirectionName } from "../../api/client";
import type { View } from "../../view/view";
import type { FoundMatches } from "../matches/useMatches";
import type { Mark } from "../octets/spans";
import type { Turn } from "./turns";

/**
 * Marks of a turn. A page of turns comes with its matches; those that were found later are in the
 * stream's list of matches, which is used as soon as it is there and whole.
 */
export function marksOf(turn: Turn, found: FoundMatches | undefined, place: Mark | null): Mark[] {
  const whole = found !== undefined && found.matches.length >= found.total;
  const hits = whole
    ? found.matches.filter((match) => match.direction === turn.direction)
    : turn.highlights;
  const marks = hits
    .filter((hit) => hit.start < turn.end && hit.end > turn.start)
    .map((hit): Mark => ({ start: hit.start, end: hit.end, pattern: hit.pattern_id }));
  return place === null ? marks : [...marks, place];
}

/** The byte range of the page's address, where it is in this direction. */
export function placeIn(view: View, direction: DirectionName): Mark | null {
  const { dir, at, len } = view;
  if (dir !== direction || at === null || len === null || len === 0) return null;
  return { start: at, end: at + len, pattern: null };
}
