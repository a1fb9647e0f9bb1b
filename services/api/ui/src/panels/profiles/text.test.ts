import { describe, expect, it } from "vitest";

import { formatSettings, parsePorts, parseSettings, parseTransforms } from "./text";

describe("ports and transforms", () => {
  it("are separated by commas or spaces", () => {
    expect(parsePorts(" 80, 8080\n1 ")).toEqual([80, 8080, 1]);
    expect(parseTransforms("http_body,json_pretty charset:latin-1")).toEqual([
      "http_body",
      "json_pretty",
      "charset:latin-1",
    ]);
    expect(parsePorts("")).toEqual([]);
  });

  it("say what they cannot be", () => {
    expect(() => parsePorts("80, 65536")).toThrow("65536");
    expect(() => parsePorts("http")).toThrow("http");
    expect(() => parseTransforms("Gzip!")).toThrow("Gzip!");
  });
});

describe("settings", () => {
  const settings = { depth: 3, ratio: -0.5, strict: true, name: "a = b", text: "3", yes: "true" };

  it("are read as they were written", () =>
    expect(parseSettings(formatSettings(settings))).toEqual(settings));

  it("keep text with line ends and quotes", () => {
    const odd = { one: "a\nb", two: '"quoted"', three: " padded " };
    expect(parseSettings(formatSettings(odd))).toEqual(odd);
  });

  it("say which line is none", () =>
    expect(() => parseSettings("depth = 3\nnonsense")).toThrow("nonsense"));
});
