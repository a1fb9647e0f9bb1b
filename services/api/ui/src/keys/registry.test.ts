import { describe, expect, it } from "vitest";

import { COMMANDS, GROUPS, meaning, pressed, type CommandId } from "./registry";

const bindings = COMMANDS.flatMap((command) => command.bindings);

describe("the table", () => {
  it("gives no binding to two commands, and no command twice", () => {
    expect(new Set(bindings).size).toBe(bindings.length);
    expect(new Set(COMMANDS.map(({ id }) => id)).size).toBe(COMMANDS.length);
  });

  it("has no binding that is only the lead of another", () => {
    const leads = bindings.filter((each) => / ./.test(each)).map((each) => each.split(" ")[0]);
    for (const lead of leads) expect(bindings).not.toContain(lead);
  });

  it("has all of them in the help, which shows its groups, with a title", () => {
    for (const { title, group } of COMMANDS) {
      expect(title).toMatch(/\S/);
      expect(GROUPS).toContain(group);
    }
  });

  it("has every key of the design", () => {
    const keys = "j k ArrowDown ArrowUp Home End Enter Escape / Ctrl+k l h n Shift+N Alt+n f x";
    const more = "Shift+X v m Shift+M u d # + Shift+L Shift+F 0 Shift+T ?";
    for (const key of `${keys} ${more}`.split(" ")) expect(bindings).toContain(key);
    for (const last of "thbpcl") expect(bindings).toContain(`y ${last}`);
  });
});

describe("meaning", () => {
  it("finds each binding's command", () => {
    for (const { id, bindings: all } of COMMANDS) {
      for (const binding of all.filter((each) => each !== "1…9")) {
        const [lead, key] = / ./.test(binding) ? binding.split(" ") : ["", binding];
        expect(meaning(key ?? "", lead ?? "")).toEqual({ kind: "command", id });
      }
    }
  });

  it("waits for the second key of two", () => {
    expect(meaning("y", "")).toEqual({ kind: "lead", key: "y" });
    expect(meaning("t", "y")).toEqual({ kind: "command", id: "copy.text" });
    expect(meaning("t", "")).toEqual({ kind: "command", id: "look.tab" });
  });

  it("forgets two keys that mean nothing together, digits too", () => {
    expect(meaning("j", "y")).toEqual({ kind: "none" });
    expect(meaning("3", "y")).toEqual({ kind: "none" });
    expect(meaning("q", "")).toEqual({ kind: "none" });
  });

  it("takes digits as services", () => {
    const id: CommandId = "filter.service";
    for (let digit = 1; digit <= 9; digit++)
      expect(meaning(String(digit), "")).toEqual({ kind: "command", id, digit });
    expect(meaning("0", "")).toEqual({ kind: "command", id: "filter.clear" });
  });
});

describe("pressed", () => {
  const press = (key: string, more: KeyboardEventInit = {}) =>
    pressed(new KeyboardEvent("keydown", { key, ...more }));

  it("says Shift only with letters", () => {
    expect(press("N", { shiftKey: true })).toBe("Shift+N");
    expect(press("?", { shiftKey: true })).toBe("?");
    expect(press("#", { shiftKey: true })).toBe("#");
  });

  it("takes a letter as it is printed on the key, with Caps Lock too", () => {
    expect(press("J")).toBe("j");
    expect(press("n", { shiftKey: true })).toBe("Shift+N");
  });

  it("takes Meta as Ctrl, and Alt before Shift", () => {
    expect(press("k", { metaKey: true })).toBe("Ctrl+k");
    expect(press("k", { ctrlKey: true })).toBe("Ctrl+k");
    expect(press("n", { altKey: true, shiftKey: true })).toBe("Alt+Shift+N");
    expect(press(" ")).toBe(" ");
  });
});
