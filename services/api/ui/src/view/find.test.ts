import { expect, it } from "vitest";

import { formatFind, parseFind } from "./find";

it.each([
  { direction: "any", kind: "substring", value: "a:b c" },
  { direction: "client", kind: "regex", value: "(?i)flag\\{\n" },
  { direction: "server", kind: "binary", value: "7f 45" },
] as const)("reads what it wrote: %j", (looked) =>
  expect(parseFind(formatFind(looked))).toEqual(looked),
);

it.each(["", "any:substring:", "any:glob:x", "both:regex:x", "x"])("%j says nothing", (text) =>
  expect(parseFind(text)).toBeNull(),
);
