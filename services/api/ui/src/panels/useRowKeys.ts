/** Up and down through the rows of a table; Enter does what a row is for. */

import { useRef, type RefObject } from "react";

import { useCommands } from "../keys/useCommands";

/** Rows have `data-row` and can have the focus; what Enter presses is marked `data-main`. */
export function useRowKeys<T extends HTMLElement>(): RefObject<T | null> {
  const holder = useRef<T>(null);
  const focus = (pick: (at: number, count: number) => number) => {
    const rows = [...(holder.current?.querySelectorAll<HTMLElement>("[data-row]") ?? [])];
    const at = rows.findIndex((row) => row.contains(document.activeElement));
    rows[Math.min(rows.length - 1, Math.max(0, pick(at, rows.length)))]?.focus();
  };
  useCommands({
    "list.next": () => focus((at) => at + 1),
    "list.previous": () => focus((at) => at - 1),
    "list.first": () => focus(() => 0),
    "list.last": () => focus((_, count) => count - 1),
    "inspector.open": () => {
      const row = document.activeElement?.closest("[data-row]");
      row?.querySelector<HTMLElement>("[data-main]")?.click();
    },
  });
  return holder;
}
