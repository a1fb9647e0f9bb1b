/** Columns of octets on the page: which octets an element shows, so that a selection finds them. */

import type { DirectionName } from "../../api/client";
import { concat, type Octets } from "./base64";
import { octetsOf, type Shown } from "./shown";

/** Where octets are in their stream; null: they are decoded, and are nowhere in it. */
export interface Origin {
  direction: DirectionName;
  start: number;
}

export interface Column {
  shown: Shown;
  octets: Octets;
  origin: Origin | null;
  /** Columns of one group and kind go on from each other; other kinds show the same octets. */
  group: string;
  kind: string;
}

/** Octets that somebody picked. */
export interface Picked {
  octets: Octets;
  origin: Origin | null;
  /** More is selected than can be one piece: it goes on in another group. */
  clipped: boolean;
}

const SELECTOR = "[data-octets]";
const columns = new WeakMap<Element, Column>();

/** Says what an element shows; the element has `data-octets`. */
export function showIn(element: Element, column: Column): void {
  columns.set(element, column);
}

/** The octets that are selected on the page; null when none are. */
export function selected(): Picked | null {
  const selection = window.getSelection();
  if (!selection || selection.isCollapsed || selection.rangeCount === 0) return null;
  return pickedIn(selection.getRangeAt(0));
}

/** Of what a range covers, the octets of the first group, as its first kind shows them. */
export function pickedIn(range: Range): Picked | null {
  const root = range.commonAncestorContainer;
  const around = (root instanceof Element ? root : root.parentElement)?.closest(SELECTOR);
  const elements = around
    ? [around]
    : root instanceof Element
      ? [...root.querySelectorAll(SELECTOR)].filter((element) => range.intersectsNode(element))
      : [];
  const pieces: { octets: Octets; origin: Origin | null }[] = [];
  let main: Column | null = null;
  let clipped = false;
  for (const element of elements) {
    const column = columns.get(element);
    const span = column && octetsOf(column.shown, ...unitsIn(element, range));
    if (!column || !span) continue;
    main ??= column;
    clipped ||= column.group !== main.group;
    if (column.group !== main.group || column.kind !== main.kind) continue;
    const { origin } = column;
    pieces.push({
      octets: column.octets.subarray(...span),
      origin: origin && { direction: origin.direction, start: origin.start + span[0] },
    });
  }
  const [first] = pieces;
  if (first === undefined) return null;
  return { octets: concat(pieces.map((piece) => piece.octets)), origin: first.origin, clipped };
}

/** The part of a range that lies in an element, in UTF-16 units of its text. */
function unitsIn(element: Element, range: Range): [number, number] {
  const inside = document.createRange();
  inside.selectNodeContents(element);
  const text = element.textContent;
  const unitsTo = (node: Node, offset: number) => {
    inside.setEnd(node, offset);
    return inside.toString().length;
  };
  const begins = element.contains(range.startContainer);
  const ends = element.contains(range.endContainer);
  return [
    begins ? unitsTo(range.startContainer, range.startOffset) : 0,
    ends ? unitsTo(range.endContainer, range.endOffset) : text.length,
  ];
}
