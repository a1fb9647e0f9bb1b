/** Who does what a command says: regions hand in their functions while they are on the page. */

import { useEffect, useRef } from "react";

import { prefs } from "../view/prefs";
import { meaning, pressed, type CommandId } from "./registry";

export type Handler = (digit?: number) => void;
export type Handlers = Partial<Record<CommandId, Handler>>;

const stack: { current: Handlers }[] = [];
const LEAD_MS = 1500;

/** Offer handlers. Those of a region that came later go first. */
export function useCommands(handlers: Handlers): void {
  const latest = useRef(handlers);
  useEffect(() => {
    latest.current = handlers;
  });
  useEffect(() => {
    stack.push(latest);
    return () => void stack.splice(stack.indexOf(latest), 1);
  }, []);
}

/** Do it. False when nobody on the page can. */
export function run(id: CommandId, digit?: number): boolean {
  for (let i = stack.length - 1; i >= 0; i--) {
    const handler = stack[i]?.current[id];
    if (handler) {
      handler(digit);
      return true;
    }
  }
  return false;
}

/** Listen to the keyboard. Once, by the frame. */
export function useKeyboard(): void {
  useEffect(() => {
    let lead = "";
    let leadAt = 0;
    const listen = (event: KeyboardEvent) => {
      const typing = isTyping(event.target);
      const key = pressed(event);
      const bare = !/^(Ctrl|Alt)\+/.test(key) && key !== "Escape";
      if (bare && (typing || !prefs.read().keys || isActivation(event))) return;
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

/** Enter and Space on a control are the control's. */
function isActivation(event: KeyboardEvent): boolean {
  if (event.key !== "Enter" && event.key !== " ") return false;
  return (
    event.target instanceof Element && event.target.closest("button,a,summary,[role=tab]") !== null
  );
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}
