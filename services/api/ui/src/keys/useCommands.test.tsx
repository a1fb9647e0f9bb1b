import { act, type ReactNode } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { prefs } from "../view/prefs";
import {
  canRun,
  LayerContext,
  run,
  takesKey,
  useCommands,
  useKeyboard,
  useLayer,
  type Handlers,
} from "./useCommands";

vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);

let root: Root;
let holder: HTMLElement;

beforeEach(() => {
  holder = document.body.appendChild(document.createElement("div"));
  root = createRoot(holder);
});
afterEach(() => {
  act(() => root.unmount());
  holder.remove();
});

function show(page: ReactNode): void {
  act(() => root.render(page));
}

function Region({ handlers, children }: { handlers: Handlers; children?: ReactNode }) {
  useCommands(handlers);
  return children;
}

function Over({ back, children }: { back: () => void; children?: ReactNode }) {
  return <LayerContext value={useLayer(back)}>{children}</LayerContext>;
}

function Keyboard({ children }: { children?: ReactNode }) {
  useKeyboard();
  return children;
}

describe("run", () => {
  it("asks who came last, and says when nobody can", () => {
    const [first, second] = [vi.fn(), vi.fn()];
    show([<Region key={1} handlers={{ "look.mode": first, "look.tab": first }} />]);
    show([
      <Region key={1} handlers={{ "look.mode": first, "look.tab": first }} />,
      <Region key={2} handlers={{ "look.mode": second }} />,
    ]);
    expect(run("look.mode")).toBe(true);
    expect(run("look.tab")).toBe(true);
    expect(run("copy.hex")).toBe(false);
    expect([first.mock.calls.length, second.mock.calls.length]).toEqual([1, 1]);
  });

  it("forgets who has left", () => {
    show(<Region handlers={{ "look.mode": vi.fn() }} />);
    expect(canRun("look.mode")).toBe(true);
    show(null);
    expect(canRun("look.mode")).toBe(false);
  });

  it("keeps the page's commands from acting under what lies over it", () => {
    const [list, help, back] = [vi.fn(), vi.fn(), vi.fn()];
    const page = { "list.next": list, "stream.hide": list, "page.help": help, back: list };
    show(
      <Region handlers={page}>
        <Over back={back} />
      </Region>,
    );
    expect([run("list.next"), run("stream.hide")]).toEqual([false, false]);
    expect([run("page.help"), run("back")]).toEqual([true, true]);
    expect(list).not.toHaveBeenCalled();
    expect(help).toHaveBeenCalledOnce();
    expect(back).toHaveBeenCalledOnce();
  });

  it("gives them to what stands on it, whichever was there first", () => {
    const [list, hits, back, form] = [vi.fn(), vi.fn(), vi.fn(), vi.fn()];
    show(
      <Region handlers={{ "list.next": list }}>
        <Over back={back}>
          <Region handlers={{ "list.next": hits, back: form }} />
        </Over>
        <Region handlers={{ "list.next": list }} />
      </Region>,
    );
    run("list.next");
    run("back");
    expect([list, hits, back, form].map((each) => each.mock.calls.length)).toEqual([0, 1, 0, 1]);
  });

  it("gives the page its commands back afterwards", () => {
    const list = vi.fn();
    const page = (over: boolean) => (
      <Region handlers={{ "list.next": list }}>{over && <Over back={vi.fn()} />}</Region>
    );
    show(page(true));
    expect(run("list.next")).toBe(false);
    show(page(false));
    expect(run("list.next")).toBe(true);
  });
});

describe("the keyboard", () => {
  const press = (key: string, target: EventTarget = document.body, more: KeyboardEventInit = {}) =>
    target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, ...more }));

  it("needs both keys of two, one after the other", () => {
    const [copy, next] = [vi.fn(), vi.fn()];
    show(<Region handlers={{ "copy.text": copy, "list.next": next }} />);
    show(
      <Region handlers={{ "copy.text": copy, "list.next": next }}>
        <Keyboard />
      </Region>,
    );
    press("y");
    press("t");
    expect(copy).toHaveBeenCalledOnce();
    press("y");
    press("j");
    expect(next).not.toHaveBeenCalled();
    press("j");
    expect(next).toHaveBeenCalledOnce();
  });

  it("leaves bare keys to inputs, but not Escape and Ctrl", () => {
    const seen: string[] = [];
    const handlers: Handlers = {
      "list.next": () => seen.push("j"),
      back: () => seen.push("Escape"),
      "page.palette": () => seen.push("Ctrl+k"),
    };
    show(
      <Region handlers={handlers}>
        <Keyboard />
        <input />
      </Region>,
    );
    const input = holder.querySelector("input") ?? document.body;
    press("j", input);
    press("Escape", input);
    press("k", input, { ctrlKey: true });
    expect(seen).toEqual(["Escape", "Ctrl+k"]);
  });

  it("can be switched off, all but Escape and Ctrl", () => {
    const [next, back] = [vi.fn(), vi.fn()];
    show(
      <Region handlers={{ "list.next": next, back }}>
        <Keyboard />
      </Region>,
    );
    prefs.change({ keys: false });
    press("j");
    press("Escape");
    prefs.change({ keys: true });
    expect([next.mock.calls.length, back.mock.calls.length]).toEqual([0, 1]);
  });
});

describe("takesKey", () => {
  const element = (html: [string, Record<string, string>]) => {
    const made = document.createElement(html[0]);
    for (const [name, value] of Object.entries(html[1])) made.setAttribute(name, value);
    return holder.appendChild(made);
  };

  it.each([
    [["input", {}], "j", true],
    [["textarea", {}], "j", true],
    [["select", {}], "j", true],
    [["input", { type: "checkbox" }], "j", false],
    [["input", { type: "checkbox" }], " ", true],
    [["input", { type: "radio" }], "ArrowDown", true],
    [["button", {}], "Enter", true],
    [["button", {}], "j", false],
    [["div", { role: "tab" }], "Enter", true],
    [["div", {}], "Enter", false],
  ] as [[string, Record<string, string>], string, boolean][])("%j %j: %s", (html, key, takes) =>
    expect(takesKey(element(html), key)).toBe(takes),
  );
});
