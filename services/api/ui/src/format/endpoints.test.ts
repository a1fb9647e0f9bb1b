import { expect, it } from "vitest";

import { formatServer } from "./endpoints";

it.each([
  ["10.0.0.7", "10.0.0.2", ".2"],
  ["10.10.5.67", "10.10.2.2", ".2.2"],
  ["10.1.5.67", "10.10.2.2", "10.10.2.2"],
  ["10.0.0.7", "10.0.0.7", ".7"],
  ["fd00::1", "fd00::2", "fd00::2"],
])("%s sees %s as %s", (client, server, text) => {
  expect(formatServer(client, server)).toBe(text);
});
