/** The window of rows that follows an element's scrolling. */

import { useEffect, useMemo, useState } from "react";
import { flushSync } from "react-dom";

import {
  heightOf,
  placeAt,
  resized,
  revealing,
  ROW_PX,
  rowsAt,
  scrolledTo,
  START,
  topRow,
  type Extent,
  type Place,
} from "./rowWindow";

const HEAD_PX = ROW_PX; // the row of column names lies over the first row's place
const IDLE_MS = 200;

export interface RowWindow {
  /** For the element that scrolls. */
  ref: (element: HTMLElement | null) => void;
  first: number;
  last: number;
  heightPx: number;
  /** Rows that fit. */
  pageRows: number;
  /** Where a row is drawn in the list's element. */
  topOf: (index: number) => number;
  reveal: (index: number) => void;
  toStart: () => void;
  toEnd: () => void;
  topRow: () => number;
}

/** scrolled: somebody scrolled; is an end of the list seen? */
export function useRowWindow(
  count: number,
  scrolled: (seen: { start: boolean; end: boolean }) => void,
): RowWindow {
  const [scroller] = useState(() => new Scroller());
  const [drawn, setDrawn] = useState({ first: 0, last: 0, base: 0, pageRows: 1 });
  useEffect(() => {
    scroller.listen((byHand) => {
      const { first, last } = rowsAt(scroller.place, scroller.extent);
      const pageRows = Math.max(1, Math.floor(scroller.extent.viewPx / ROW_PX));
      const next = { first, last, base: scroller.place.base, pageRows };
      const show = () => setDrawn((now) => (same(now, next) ? now : next));
      if (byHand) {
        scrolled(scroller.endsSeen());
        flushSync(show); // in the frame of the scroll, or rows would come a frame late
      } else show();
    });
  }, [scroller, scrolled]);
  useEffect(() => scroller.resize({ count }), [scroller, count]);
  const moves = useMemo(
    () => ({
      ref: (element: HTMLElement | null) => scroller.attach(element),
      reveal: (index: number) => scroller.reveal(index),
      toStart: () => scroller.go(START),
      toEnd: () => scroller.go(placeAt(Infinity, scroller.extent)),
      topRow: () => topRow(scroller.place),
    }),
    [scroller],
  );
  return useMemo(
    () => ({
      ...moves,
      first: Math.min(drawn.first, count),
      last: Math.min(drawn.last, count),
      heightPx: heightOf({ count, viewPx: 0 }),
      pageRows: drawn.pageRows,
      topOf: (index) => index * ROW_PX - drawn.base,
    }),
    [moves, drawn, count],
  );
}

function same<T extends object>(a: T, b: T): boolean {
  return (Object.keys(a) as (keyof T)[]).every((name) => a[name] === b[name]);
}

/** The element, its extent and its place. */
class Scroller {
  extent: Extent = { count: 0, viewPx: 0 };
  place: Place = START;
  private tell: (byHand: boolean) => void = () => undefined;
  private element: HTMLElement | null = null;
  private idle: ReturnType<typeof setTimeout> | undefined;
  private stop: (() => void) | undefined;

  listen(tell: (byHand: boolean) => void): void {
    this.tell = tell;
    tell(false);
  }

  endsSeen() {
    const own = this.place.top + this.place.base;
    const end = placeAt(Infinity, this.extent);
    return { start: own < 1, end: own > end.top + end.base - 1 };
  }

  attach(element: HTMLElement | null): void {
    this.stop?.();
    this.element = element;
    if (element === null) return;
    const onScroll = () => this.scrolled(element.scrollTop);
    const sizes = new ResizeObserver(() =>
      this.resize({ viewPx: Math.max(0, element.clientHeight - HEAD_PX) }),
    );
    element.addEventListener("scroll", onScroll, { passive: true });
    sizes.observe(element);
    this.resize({ viewPx: Math.max(0, element.clientHeight - HEAD_PX) });
    this.stop = () => {
      element.removeEventListener("scroll", onScroll);
      sizes.disconnect();
      clearTimeout(this.idle);
    };
  }

  resize(change: Partial<Extent>): void {
    // somebody may be scrolling: what the browser has now holds, and is not written over
    const top = this.element?.scrollTop ?? this.place.top;
    const now = scrolledTo(top, this.place, this.extent);
    this.extent = { ...this.extent, ...change };
    this.place = resized(now, this.extent);
    this.write();
    this.tell(false);
  }

  reveal(index: number): void {
    const place = revealing(index, this.place, this.extent);
    if (place !== null) this.go(place);
  }

  go(place: Place): void {
    this.place = place;
    this.write();
    this.tell(false);
  }

  private scrolled(top: number): void {
    if (Math.abs(top - this.place.top) < 1) return; // our own writing
    this.place = scrolledTo(top, this.place, this.extent);
    this.tell(true);
    clearTimeout(this.idle);
    this.idle = setTimeout(() => this.settle(), IDLE_MS);
  }

  /** The bar goes to where it belongs; the rows stay where they are. */
  private settle(): void {
    this.go(placeAt(this.place.top + this.place.base, this.extent));
  }

  private write(): void {
    if (this.element !== null && Math.abs(this.element.scrollTop - this.place.top) >= 1)
      this.element.scrollTop = this.place.top;
  }
}
