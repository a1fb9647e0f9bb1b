/** What this browser remembers of how somebody likes the page; nothing that links or teams share. */

import { useSyncExternalStore } from "react";

export interface Prefs {
  theme: "system" | "dark" | "light";
  /** Single keys do something. */
  keys: boolean;
  /** px */
  railWidth: number;
  inspectorWidth: number;
  /** Filters kept under a name. */
  saved: readonly { name: string; q: string }[];
}

const KEY = "flowmate.prefs";
const DEFAULTS: Prefs = {
  theme: "system",
  keys: true,
  railWidth: 200,
  inspectorWidth: 560,
  saved: [],
};
const listeners = new Set<() => void>();
let current = load();

function load(): Prefs {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return { ...DEFAULTS, ...(stored as Partial<Prefs>) };
  } catch {
    return DEFAULTS;
  }
}

export const prefs = {
  read: (): Prefs => current,
  change(change: Partial<Prefs>): void {
    current = { ...current, ...change };
    try {
      localStorage.setItem(KEY, JSON.stringify(current));
    } catch {
      // a browser that keeps nothing: they hold until the page goes
    }
    for (const listener of listeners) listener();
  },
};

export function usePrefs(): Prefs {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, prefs.read);
}
