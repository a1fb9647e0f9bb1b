import { expect, it } from "vitest";

import { capsOf } from "./Kbd";
import { COMMANDS } from "./registry";

it.each([
  ["j", [["j"]]],
  ["+", [["+"]]],
  [" ", [["Space"]]],
  ["Shift+N", [["Shift", "N"]]],
  ["Ctrl+k", [["Ctrl", "K"]]],
  ["y t", [["y"], ["t"]]],
  ["ArrowDown", [["↓"]]],
])("prints %j as %j", (binding, caps) => expect(capsOf(binding)).toEqual(caps));

it("prints something for every key there is", () => {
  for (const binding of COMMANDS.flatMap((command) => command.bindings))
    for (const stroke of capsOf(binding)) for (const key of stroke) expect(key).toMatch(/\S/);
});
