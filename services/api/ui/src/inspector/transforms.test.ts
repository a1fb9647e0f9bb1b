import { readFileSync } from "node:fs";

import { expect, it } from "vitest";

import { nextDecoder, TRANSFORMS } from "./transforms";

it("knows the decoders that the API knows", () => {
  const text = readFileSync("openapi.json", "utf8");
  const pattern = /"\^\((url_decode[a-z0-9_|]*)\)/.exec(text)?.[1] ?? "";
  expect([...TRANSFORMS].sort()).toEqual(pattern.split("|").sort());
});

it("goes round the decoders", () => {
  let decoder = "";
  const seen = [];
  do seen.push((decoder = nextDecoder(decoder)));
  while (decoder !== "");
  expect(seen).toEqual([...TRANSFORMS, ""]);
  expect(nextDecoder("gzip,url_decode")).toBe("auto");
});
