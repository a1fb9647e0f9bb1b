/** following ▾: whether the list goes along with the run, and in which order it is. */

import { useEffect, useRef, useState, type KeyboardEvent } from "react";

import { run } from "../keys/useCommands";
import { flow, useFlow } from "../view/flow";
import { go, useViewOf } from "../view/useView";

export function FlowMenu() {
  const { following, pausedAt } = useFlow();
  const order = useViewOf("order");
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const state = pausedAt !== null ? "paused" : following ? "following" : "staying";

  useEffect(() => {
    if (!open) return;
    box.current?.querySelector<HTMLElement>("[aria-checked=true]")?.focus();
    const outside = (event: PointerEvent) => {
      if (!box.current?.contains(event.target as Node)) setOpen(false);
    };
    window.addEventListener("pointerdown", outside);
    return () => window.removeEventListener("pointerdown", outside);
  }, [open]);

  const close = () => {
    setOpen(false);
    box.current?.querySelector("button")?.focus();
  };
  const choose = (action: () => void) => () => {
    action();
    close();
  };
  const unpaused = (action: () => void) => () => {
    if (flow.read().pausedAt !== null) run("run.pause");
    action();
  };
  const items = [
    ["following", "follow the live edge", "Shift+L", state === "following", () => run("run.live")],
    ["staying", "stay: new rows wait above", "", state === "staying", unpaused(flow.stay)],
    ["paused", "pause: nothing changes", "Space", state === "paused", () => run("run.pause")],
    ["newest", "newest first", "", order === "newest", () => go({ order: "newest" })],
    ["oldest", "oldest first", "", order === "oldest", () => go({ order: "oldest" })],
  ] as const;

  return (
    // the menu's own keys: what is not for it goes on to the page
    // eslint-disable-next-line jsx-a11y/no-static-element-interactions
    <div className="flow" ref={box} onKeyDown={(event) => open && menuKey(event, close)}>
      <button
        type="button"
        aria-haspopup="menu"
        aria-expanded={open}
        data-state={state}
        onClick={() => setOpen(!open)}
      >
        {state} ▾
      </button>
      {open && (
        <div role="menu" className="menu" aria-label="live edge and order">
          {items.map(([name, title, key, checked, action]) => (
            <button
              key={name}
              type="button"
              role="menuitemradio"
              aria-checked={checked}
              tabIndex={-1}
              data-first={name === "newest"}
              onClick={choose(action)}
            >
              {checked ? "● " : "○ "}
              {title} {key && <kbd>{key}</kbd>}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

function menuKey(event: KeyboardEvent<HTMLElement>, close: () => void): void {
  const items = [...event.currentTarget.querySelectorAll<HTMLElement>("[role=menuitemradio]")];
  const at = items.indexOf(document.activeElement as HTMLElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
  if (event.key === "Escape" || event.key === "Tab") close();
  else if (to === undefined) return;
  else items.at(to % items.length)?.focus();
  if (event.key !== "Tab") event.preventDefault();
  event.stopPropagation();
}
