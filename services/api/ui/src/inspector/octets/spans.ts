/** A text cut where something is marked. */

import { unitsOf, type Shown } from "./shown";

/** Octets [start, end) that are marked: a match of a pattern, or the place a link leads to. */
export interface Mark {
  start: number;
  end: number;
  /** null: the place. */
  pattern: number | null;
}

export interface Span {
  text: string;
  /** Patterns that match here, each once. */
  patterns: number[];
  place: boolean;
}

/** The text in spans. base: the offset of its first octet, as marks count. */
export function spansOf(shown: Shown, base: number, marks: readonly Mark[]): Span[] {
  const edges: { at: number; mark: Mark; begins: boolean }[] = [];
  for (const mark of marks) {
    const [low, high] = unitsOf(shown, mark.start - base, mark.end - base);
    if (mark.end <= base || low >= high) continue;
    edges.push({ at: low, mark, begins: true }, { at: high, mark, begins: false });
  }
  edges.sort((a, b) => a.at - b.at);
  const spans: Span[] = [];
  const live = new Set<Mark>();
  let at = 0;
  const upTo = (end: number) => {
    if (end > at) spans.push({ text: shown.text.slice(at, end), ...described(live) });
    at = Math.max(at, end);
  };
  for (const edge of edges) {
    upTo(edge.at);
    if (edge.begins) live.add(edge.mark);
    else live.delete(edge.mark);
  }
  upTo(shown.text.length);
  return spans;
}

function described(live: ReadonlySet<Mark>): { patterns: number[]; place: boolean } {
  const patterns = new Set<number>();
  let place = false;
  for (const { pattern } of live) {
    if (pattern === null) place = true;
    else patterns.add(pattern);
  }
  return { patterns: [...patterns].sort((a, b) => a - b), place };
}
