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
  /** Columns of one group go on from each other. */
  group: string;
}

/** Octets that somebody picked. */
export interface Picked {
  octets: Octets;
  origin: Origin | null;
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

/** Of what a range covers, the first group's octets. */
export function pickedIn(range: Range): Picked | null {
  const root = range.commonAncestorContainer;
  const around = (root instanceof Element ? root : root.parentElement)?.closest(SELECTOR);
  const elements = around
    ? [around]
    : root instanceof Element
      ? [...root.querySelectorAll(SELECTOR)].filter((element) => range.intersectsNode(element))
      : [];
  const pieces: { octets: Octets; origin: Origin | null }[] = [];
  let group: string | null = null;
  for (const element of elements) {
    const column = columns.get(element);
    const span = column && octetsOf(column.shown, ...unitsIn(element, range));
    if (!column || !span || (group !== null && column.group !== group)) continue;
    group = column.group;
    const { origin } = column;
    pieces.push({
      octets: column.octets.subarray(...span),
      origin: origin && { direction: origin.direction, start: origin.start + span[0] },
    });
  }
  const [first] = pieces;
  return first ? { octets: concat(pieces.map((p) => p.octets)), origin: first.origin } : null;
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
