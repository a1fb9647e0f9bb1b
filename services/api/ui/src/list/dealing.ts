/**
 * Rows that come onto the page are dealt out, a few a frame: to lay out and to paint a screenful of
 * them takes longer than a frame is long. Until then a row is a placeholder.
 */

import { useEffect, useReducer, useState } from "react";

export const ROWS_A_FRAME = 24;

/** Gives out rows until there are no more for this frame. What it gave stays given while it is seen. */
export class Dealer {
  private given: ReadonlySet<string> = new Set();
  private left = ROWS_A_FRAME;
  private pausing = false;

  /** Which of the rows that are seen may be drawn. */
  deal(seen: readonly string[]): ReadonlySet<string> {
    const given = new Set<string>();
    for (const id of seen) {
      if (given.has(id)) continue;
      if (!this.given.has(id) && this.left-- <= 0) continue;
      given.add(id);
    }
    this.given = given;
    return given;
  }

  /** A frame was painted. True: rows wait for the next one. */
  painted(): boolean {
    const waiting = this.left < 0;
    this.left = ROWS_A_FRAME;
    return waiting;
  }

  /** Goes on, with `more`, behind the frame that has what was given. */
  pause(more: () => void): void {
    if (this.pausing || this.left === ROWS_A_FRAME) return;
    this.pausing = true;
    const behind = () => {
      this.pausing = false;
      if (this.painted()) more();
    };
    requestAnimationFrame(() => setTimeout(behind));
  }
}

/** Which of the rows that are seen may be drawn by now; more of them are a frame later. */
export function useDealt(seen: readonly string[]): ReadonlySet<string> {
  const [dealer] = useState(() => new Dealer());
  const [, more] = useReducer((count: number) => count + 1, 0);
  useEffect(() => dealer.pause(more));
  return dealer.deal(seen);
}
