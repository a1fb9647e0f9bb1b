/**
 * Who does what a command says: regions hand in their functions while they are on the page.
 *
 * What lies over the page is a layer: while it is there, commands are for what stands on it. Only
 * those of the page as a whole (`page.…`, `panel.…`, `keys.…`) still reach the page.
 */

import { createContext, use, useEffect, useLayoutEffect, useMemo, useRef } from "react";

import { prefs } from "../view/prefs";
import { meaning, pressed, type CommandId } from "./registry";

export type Handler = (digit?: number) => void;
export type Handlers = Partial<Record<CommandId, Handler>>;

export interface Layer {
  /** What Escape does when nothing on the layer knows better. */
  back(): void;
}

interface Entry {
  handlers: Handlers;
  layer: Layer | null;
}

export const LayerContext = createContext<Layer | null>(null);

const entries: { current: Entry }[] = [];
const layers: Layer[] = [];
const LEAD_MS = 1500;
const OF_THE_PAGE = /^(page|panel|keys)\./;

/** Offer handlers. Those of a region that came later go first. What can be seen can be pressed: they
 * are there before the region is painted. */
export function useCommands(handlers: Handlers): void {
  const layer = use(LayerContext);
  const latest = useRef<Entry>({ handlers, layer });
  useLayoutEffect(() => {
    latest.current = { handlers, layer };
  });
  useLayoutEffect(() => {
    entries.push(latest);
    return () => void entries.splice(entries.indexOf(latest), 1);
  }, []);
}

/** Lie over the page for as long as the component is there. What stands on it gets the layer
 * through LayerContext. */
export function useLayer(back: () => void): Layer {
  const latest = useRef(back);
  useLayoutEffect(() => {
    latest.current = back;
  });
  const layer = useMemo<Layer>(() => ({ back: () => latest.current() }), []);
  useLayoutEffect(() => {
    layers.push(layer);
    return () => void layers.splice(layers.indexOf(layer), 1);
  }, [layer]);
  return layer;
}

/** Do it. False when nobody can at the moment. */
export function run(id: CommandId, digit?: number): boolean {
  const handler = handlerOf(id);
  handler?.(digit);
  return handler !== undefined;
}

export function canRun(id: CommandId): boolean {
  return handlerOf(id) !== undefined;
}

function handlerOf(id: CommandId): Handler | undefined {
  const top = layers.at(-1) ?? null;
  const found = newest(id, top);
  if (found !== undefined || top === null) return found;
  if (id === "back") return () => top.back();
  return OF_THE_PAGE.test(id) ? newest(id, null) : undefined;
}

function newest(id: CommandId, layer: Layer | null): Handler | undefined {
  return entries.findLast(({ current }) => current.layer === layer && current.handlers[id])?.current
    .handlers[id];
}

/** Listen to the keyboard. Once, by the frame. */
export function useKeyboard(): void {
  useEffect(() => {
    let lead = "";
    let leadAt = 0;
    const listen = (event: KeyboardEvent) => {
      if (event.defaultPrevented) return;
      const key = pressed(event);
      const bare = !/^(Ctrl|Alt)\+/.test(key) && key !== "Escape";
      if (bare && (!prefs.read().keys || takesKey(event.target, event.key))) return;
      const found = meaning(key, Date.now() - leadAt < LEAD_MS ? lead : "");
      lead = "";
      if (found.kind === "lead") {
        lead = found.key;
        leadAt = Date.now();
      } else if (found.kind === "command" && run(found.id, found.digit)) event.preventDefault();
    };
    window.addEventListener("keydown", listen);
    return () => window.removeEventListener("keydown", listen);
  }, []);
}

const CONTROLS = "button,a,summary,input,[role=tab],[role=option]";
const NO_TEXT = /^(button|checkbox|color|file|radio|range|reset|submit)$/;

/** Whether a bare key belongs to the control that has the focus: text is typed into it, or Enter
 * and Space work it. */
export function takesKey(target: EventTarget | null, key: string): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || /^(TEXTAREA|SELECT)$/.test(target.tagName)) return true;
  if (target instanceof HTMLInputElement && !NO_TEXT.test(target.type)) return true;
  if (target instanceof HTMLInputElement && /^(Arrow|Home|End|Page)/.test(key))
    return /^(radio|range|color)$/.test(target.type);
  return (key === "Enter" || key === " ") && target.closest(CONTROLS) !== null;
}
