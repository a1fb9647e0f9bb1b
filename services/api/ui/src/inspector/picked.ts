/**
 * What actions work on: the octets that are selected, else what is looked at.
 *
 * A selection is kept when the focus goes into an input (the palette, a dialog), where the browser
 * would forget it; a click beside it takes it away.
 */

import { useEffect, useSyncExternalStore } from "react";

import { selected, type Picked } from "./octets/columns";

type Source = () => Picked | null | Promise<Picked | null>;

const listeners = new Set<() => void>();
let selection: Picked | null = null;
let source: Source | null = null;

/** The octets that are selected. */
export function useSelection(): Picked | null {
  return useSyncExternalStore(subscribe, () => selection);
}

/** The selection, else what is looked at; null when that is nothing. */
export async function picked(): Promise<Picked | null> {
  return selection ?? (await source?.()) ?? null;
}

export function currentSelection(): Picked | null {
  return selection;
}

/** Say what is looked at, for as long as the component is there. */
export function useSource(current: Source): void {
  useEffect(() => {
    source = current;
    return () => {
      if (source === current) source = null;
    };
  }, [current]);
}

/** Follow the page's selection. Once, by the inspector. */
export function useSelectionWatch(): void {
  useEffect(() => {
    let frame = 0;
    const look = () => {
      const now = selected();
      if (now === null && isElsewhere()) return;
      if (now !== null || selection !== null) change(now);
    };
    const soon = () => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(look);
    };
    document.addEventListener("selectionchange", soon);
    return () => {
      document.removeEventListener("selectionchange", soon);
      cancelAnimationFrame(frame);
      change(null);
    };
  }, []);
}

function isElsewhere(): boolean {
  return /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName ?? "");
}

function change(now: Picked | null): void {
  selection = now;
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
