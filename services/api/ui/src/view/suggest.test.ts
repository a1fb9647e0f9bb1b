import { describe, expect, it } from "vitest";

import { suggest, take, type Known } from "./suggest";

const KNOWN: Known = {
  svc: [
    { value: "http", count: 40 },
    { value: "https", count: 2 },
    { value: "smtp", count: null },
  ],
  pat: [{ value: "path traversal", title: "../" }, { value: "flag" }],
  tag: [{ value: "exploit", count: 3 }],
  profile: [],
};
const texts = (text: string, caret = text.length) =>
  suggest(text, caret, KNOWN).items.map((item) => item.text);

describe("suggest", () => {
  it("keys where a term begins, without those that are there", () => {
    expect(texts("")).toContain("svc:");
    expect(texts("svc:http ")).not.toContain("svc:");
    expect(texts("svc:http ")).toContain("port:");
  });

  it("keys that begin so, and names of any kind", () => {
    expect(texts("s")).toEqual(["svc:", "status:", "size:", "since:"]);
    expect(texts("fl")).toEqual(["pat:flag"]);
    expect(texts("xpl")).toEqual(["tag:exploit"]);
  });

  it("values, those that begin so first", () => {
    expect(texts("svc:")).toEqual(["svc:http", "svc:https", "svc:smtp"]);
    expect(texts("svc:tp")).toEqual(["svc:http", "svc:https", "svc:smtp"]);
    expect(texts("svc:s")).toEqual(["svc:smtp", "svc:https"]);
    expect(texts("proto:u")).toEqual(["proto:udp"]);
  });

  it("nothing more for what is written already", () => {
    expect(texts("svc:smtp")).toEqual([]);
  });

  it("names with spaces in quotes", () => {
    expect(texts("pat:path")).toEqual(['pat:"path traversal"']);
  });

  it("what is at the caret, not at the end", () => {
    expect(suggest("svc:ht port:80", 6, KNOWN)).toMatchObject({ start: 0, end: 6 });
    expect(texts("svc:ht port:80", 6)).toEqual(["svc:http", "svc:https"]);
  });
});

describe("take", () => {
  const after = (text: string, caret: number) => {
    const found = suggest(text, caret, KNOWN);
    const item = found.items[0];
    return item === undefined ? null : take(text, found, item);
  };

  it("a value is followed by a space, a key is not", () => {
    expect(after("svc:ht", 6)).toEqual({ text: "svc:http ", caret: 9 });
    expect(after("sv", 2)).toEqual({ text: "svc:", caret: 4 });
  });

  it("leaves what stands behind", () => {
    expect(after("svc:ht port:80", 6)).toEqual({ text: "svc:http port:80", caret: 9 });
  });
});
