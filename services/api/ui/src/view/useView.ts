/** The view as a hook: read it, change a part of it. The page's address is where it lives. */

import { useSyncExternalStore } from "react";

import { formatView, parseView, type View } from "./view";

type Change = Partial<View>;
const listeners = new Set<() => void>();
let read = { query: "", view: parseView("") };

/** The view now. */
export function currentView(): View {
  const query = window.location.search;
  if (query !== read.query) read = { query, view: parseView(query) };
  return read.view;
}

/** Change parts of it. push: a step that Back undoes; without, the step is replaced. */
export function go(change: Change, { push = false }: { push?: boolean } = {}): void {
  const query = formatView({ ...currentView(), ...change });
  const target = query ? `?${query}` : window.location.pathname;
  if (`?${query}` === window.location.search || (!query && !window.location.search)) return;
  if (push) window.history.pushState(null, "", target);
  else window.history.replaceState(null, "", target);
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener("popstate", listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener("popstate", listener);
  };
}

export function useView(): View {
  return useSyncExternalStore(subscribe, currentView);
}

/** One part of it: who reads no other is not drawn anew when another changes. */
export function useViewOf<Name extends keyof View>(name: Name): View[Name] {
  return useSyncExternalStore(subscribe, () => currentView()[name]);
}
