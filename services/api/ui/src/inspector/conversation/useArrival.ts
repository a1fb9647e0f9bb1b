/** Brings the place of the page's address into sight: reads on, opens its turn, scrolls there. */

import { useEffect, useRef, type Dispatch, type RefObject } from "react";

import type { View } from "../../view/view";
import { itemAt, type Item } from "./items";
import { look, type Look, type LookAction } from "./look";
import { turnAt, type Talk } from "./turns";

const PAGES_MAX = 16; // read to get to a place; what lies further in is for the raw view
const FRAMES = 12; // until what was scrolled to has been measured

interface Arrival {
  /** The turns are on the page. */
  ready: boolean;
  view: View;
  talk: Talk | undefined;
  state: Look;
  items: readonly Item[];
  scroller: RefObject<HTMLElement | null>;
  more: () => Promise<void>;
  dispatch: Dispatch<LookAction>;
  scrollTo: (index: number) => void;
}

/** true: the place is not in as much as is read for it. */
export function useArrival(arrival: Arrival): boolean {
  const { ready, view, talk, state, items, scroller, more, dispatch, scrollTo } = arrival;
  const { dir, at, len, mode, decoder } = view;
  // in another form turns are of other heights: the place would be out of sight
  const wanted = at === null ? null : [dir, at, len, mode, decoder].join(":");
  const arrived = useRef<string | null>(null);
  const index =
    talk === undefined || dir === null || at === null ? -1 : turnAt(talk.turns, dir, at);
  const missing = talk !== undefined && at !== null && index < 0;
  const lost = missing && (talk.ended || talk.pages >= PAGES_MAX);

  useEffect(() => {
    if (missing && !lost) void more();
  }, [missing, lost, talk, more]);

  useEffect(() => {
    if (wanted === null) arrived.current = null;
    const turn = talk?.turns[index];
    if (!ready || at === null || turn === undefined || arrived.current === wanted) return;
    const reveal = { kind: "reveal" as const, turn, at, end: at + (len ?? 0) };
    if (look(state, reveal) !== state) {
      dispatch(reveal);
      return; // until it is shown
    }
    arrived.current = wanted;
    const item = itemAt(items, turn, at);
    if (item >= 0) scrollTo(item);
    if (len !== null) centre(scroller);
  }, [ready, wanted, at, len, index, talk, state, items, scroller, dispatch, scrollTo]);
  return lost;
}

/** As soon as the marked place is on the page, it is in the middle. */
function centre(scroller: RefObject<HTMLElement | null>): void {
  let left = FRAMES;
  const step = () => {
    const element = scroller.current;
    const mark = element?.querySelector("mark.place");
    if (element && mark) {
      const [box, outer] = [mark.getBoundingClientRect(), element.getBoundingClientRect()];
      if (box.top < outer.top || box.bottom > outer.bottom)
        mark.scrollIntoView({ block: "center" });
    }
    if (--left > 0) requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}
