import { expect, it } from "vitest";

import type { ListedStream } from "./cached";
import { suggestions } from "./hideRules";
import { wantedOf } from "./search";

const stream = {
  stream_id_hex: "00000000000000ab",
  client: "b",
  endpoint_a: { addr: "10.0.0.2", port: 80 },
  endpoint_b: { addr: "10.0.0.7", port: 40112 },
  service: { name: "http" },
  status: "closed",
  pattern_ids: [3],
} as ListedStream;

it("suggests hide rules by what the row is, the server's port and not the client's", () => {
  const rules = suggestions(stream, new Map([[3, { name: "flag" }]]));
  expect(rules.map(({ rule }) => [rule.kind, rule.value])).toEqual([
    ["stream", "00000000000000ab"],
    ["port", 80],
    ["addr", "10.0.0.7"],
    ["addr", "10.0.0.2"],
    ["service", "http"],
    ["pattern", 3],
    ["status", "closed"],
  ]);
  const portless = { ...stream, endpoint_a: { addr: "::1", port: 0 } };
  expect(suggestions(portless, new Map()).some(({ rule }) => rule.kind === "port")).toBe(false);
});

it("looks for text as text, for other octets in hexadecimal, for neither when too long", () => {
  expect(wantedOf(new TextEncoder().encode("é{"))).toEqual({ kind: "substring", value: "é{" });
  expect(wantedOf(Uint8Array.of(0xff, 0))).toEqual({ kind: "binary", value: "ff00" });
  expect(wantedOf(Uint8Array.of(0x61, 0))).toEqual({ kind: "binary", value: "6100" });
  expect(wantedOf(new Uint8Array(2049))).toBeNull();
  expect(wantedOf(new Uint8Array(4097).fill(0x61))).toBeNull();
  expect(wantedOf(new Uint8Array())).toBeNull();
});
