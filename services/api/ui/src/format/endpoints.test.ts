import { expect, it } from "vitest";

import { formatServer } from "./endpoints";

it.each([
  ["10.0.0.7", "10.0.0.2", ".2:80"],
  ["10.10.5.67", "10.10.2.2", ".2.2:80"],
  ["10.1.5.67", "10.10.2.2", "10.10.2.2:80"],
  ["10.0.0.7", "10.0.0.7", ".7:80"],
  ["fd00::1", "fd00::2", "[fd00::2]:80"],
])("%s sees %s as %s", (client, server, text) => {
  expect(formatServer({ addr: client, port: 4000 }, { addr: server, port: 80 })).toBe(text);
});
