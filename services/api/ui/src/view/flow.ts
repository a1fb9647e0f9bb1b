/**
 * Whether the page goes along with the run. It is of this browser and this visit: no link says it.
 *
 * following: the list shows the live edge. Otherwise it stays where it was: rows that are newer
 * than the anchor wait above. paused: nothing of what is shown changes.
 */

import { useSyncExternalStore } from "react";

import { currentView } from "./useView";

export interface Flow {
  following: boolean;
  /** Since when, ms since the epoch; null = not paused. */
  pausedAt: number | null;
  /** The list of this key shows rows whose number is lower; null = not known yet. */
  anchor: { list: string; number: number } | null;
}

const listeners = new Set<() => void>();
let current: Flow = { following: currentView().stream === null, pausedAt: null, anchor: null };

function change(part: Partial<Flow>): void {
  current = { ...current, ...part };
  for (const listener of listeners) listener();
}

export const flow = {
  read: (): Flow => current,
  follow: () => change({ following: true, pausedAt: null, anchor: null }),
  stay: () => {
    if (current.following) change({ following: false });
  },
  anchorAt: (list: string, number: number) => change({ anchor: { list, number } }),
  /** Show what is there now, and stay there. */
  advance: () => change({ following: false, anchor: null }),
  pause: () => change({ pausedAt: Date.now() }),
  goOn: () => change({ pausedAt: null }),
};

export function useFlow(): Flow {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, flow.read);
}

/** For queries of what the run changes: a paused page reads nothing again. */
export function useStaleTime(): number | "static" {
  return useFlow().pausedAt === null ? Infinity : "static";
}
