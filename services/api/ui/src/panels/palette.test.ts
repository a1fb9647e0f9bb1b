import { describe, expect, it } from "vitest";

import { COMMANDS } from "../keys/registry";
import { ranked } from "./palette";

const first = (typed: string) => ranked(typed, COMMANDS)[0]?.id;

describe("ranked", () => {
  it("lists all in the table's order when nothing is typed", () =>
    expect(ranked(" ", COMMANDS)).toEqual(COMMANDS));

  it.each([
    ["patterns", "panel.patterns"],
    ["hide rul", "panel.rules"],
    ["copy hex", "copy.hex"],
    ["HEX", "look.mode"],
    ["theme", "page.theme"],
    ["fav", "stream.favorite"],
    ["trusted", "panel.status"],
  ])("%j means %s", (typed, id) => expect(first(typed)).toBe(id));

  it("finds letters in their order when there is nothing better", () =>
    expect(ranked("cpyb64", COMMANDS).map(({ id }) => id)).toEqual(["copy.base64"]));

  it("finds nothing for what is nowhere", () => expect(ranked("zzz", COMMANDS)).toEqual([]));
});
