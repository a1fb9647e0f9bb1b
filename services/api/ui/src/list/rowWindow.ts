/**
 * Which rows of a long list are drawn: all rows are of one height, so it is arithmetic. (TanStack
 * Virtual measures all rows anew whenever their number changes: 40-170 ms with a million rows, four
 * times a second while a run is followed. Here a scrolled frame takes 2.4 ms of script.)
 *
 * Browsers bound an element's height (Firefox at 17.8 M px), and a million rows are 22 M px. So the
 * list's element is at most MAX_PX high. A far scroll (the bar is dragged) is taken in proportion,
 * a near one (wheel, keys) pixel by pixel; `base` is what lies between the two.
 */

export const ROW_PX = 22; // --row in tokens.css
export const MAX_PX = 10_000_000;
const OVERSCAN_ROWS = 10;

export interface Extent {
  count: number;
  /** Height of what is seen of the list. */
  viewPx: number;
}

/** Scrolled to: `top` is the browser's number, `top + base` the list's own. */
export interface Place {
  top: number;
  base: number;
}

export const START: Place = { top: 0, base: 0 };

export function heightOf({ count }: Extent): number {
  return Math.min(count * ROW_PX, MAX_PX);
}

/** What the list's own offset and the browser's are at most. */
function ends(extent: Extent) {
  return {
    own: Math.max(0, extent.count * ROW_PX - extent.viewPx),
    top: Math.max(0, heightOf(extent) - extent.viewPx),
  };
}

/** The place of an own offset, in proportion. */
export function placeAt(offset: number, extent: Extent): Place {
  const end = ends(extent);
  const own = Math.min(Math.max(0, offset), end.own);
  const top = end.own === 0 ? 0 : Math.round((own / end.own) * end.top);
  return { top, base: own - top };
}

/** After the browser scrolled to `top`. */
export function scrolledTo(top: number, before: Place, extent: Extent): Place {
  const end = ends(extent);
  const near = Math.abs(top - before.top) <= 2 * extent.viewPx;
  const own = top + before.base;
  if (end.own === end.top) return { top, base: 0 };
  if (near && top > 0 && top < end.top && own >= 0 && own <= end.own) return { ...before, top };
  return { top, base: (top / end.top) * end.own - top };
}

/** The same rows, in a list of another length: moved only where it has become too short. */
export function resized(place: Place, extent: Extent): Place {
  const end = ends(extent);
  const own = place.top + place.base;
  if (end.own === end.top) return { top: Math.min(own, end.top), base: 0 };
  return own <= end.own && place.top <= end.top ? place : placeAt(own, extent);
}

/** Rows [first, last) to draw. */
export function rowsAt(place: Place, extent: Extent): { first: number; last: number } {
  const own = place.top + place.base;
  const first = Math.floor(own / ROW_PX) - OVERSCAN_ROWS;
  const last = Math.ceil((own + extent.viewPx) / ROW_PX) + OVERSCAN_ROWS;
  return { first: Math.max(0, first), last: Math.min(extent.count, Math.max(0, last)) };
}

/** The first row that is seen whole. */
export function topRow(place: Place): number {
  return Math.ceil((place.top + place.base) / ROW_PX);
}

/** The place to be at so that a row is seen; null when it is. A far one comes into the middle. */
export function revealing(index: number, place: Place, extent: Extent): Place | null {
  const own = place.top + place.base;
  const start = index * ROW_PX;
  const above = own - start;
  const below = start + ROW_PX - (own + extent.viewPx);
  if (above <= 0 && below <= 0) return null;
  const far = Math.max(above, below) > extent.viewPx;
  if (far) return placeAt(start - (extent.viewPx - ROW_PX) / 2, extent);
  return moved(above > 0 ? -above : below, place, extent);
}

/** A little further, keeping the base where there is one. */
function moved(px: number, place: Place, extent: Extent): Place {
  const next = scrolledTo(place.top + px, place, extent);
  return next.base === place.base ? next : placeAt(place.top + place.base + px, extent);
}
