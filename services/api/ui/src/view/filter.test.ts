import { describe, expect, it } from "vitest";

import { KEYS, parseFilter, parseTime, quote, splitTerms, withTerm, type Context } from "./filter";

const DAY = Date.UTC(2026, 10, 26) * 1000;
const HERE: Context = {
  patterns: [
    { id: 3, name: "flag" },
    { id: 7, name: "path traversal" },
    { id: 9, name: "3" },
  ],
  dayOf_us: DAY + 3600e6,
};
const parse = (text: string) => parseFilter(text, HERE);
const faultsOf = (text: string) => parse(text).faults.map(({ fault }) => fault);

describe("each key", () => {
  it.each([
    ["", {}],
    ["svc:http", { service: "http" }],
    ["svc:HTTP", { service: "http" }],
    ["service:unknown", { service: "unknown" }],
    ["port:8080", { port: 8080 }],
    ["port:0", { port: 0 }],
    ["addr:10.0.0.7", { addr: "10.0.0.7" }],
    ["ip:10.0.0.0/8", { addr: "10.0.0.0/8" }],
    ["host:fd00::/16", { addr: "fd00::/16" }],
    ["addr:::ffff:1.2.3.4", { addr: "::ffff:1.2.3.4" }],
    ["proto:tcp", { protocol: "tcp" }],
    ["kind:text", { content_kind: "text" }],
    ["status:open", { status: "open" }],
    ["size:>4k", { min_bytes: 4001 }],
    ["size:>=4k", { min_bytes: 4000 }],
    ["size:<1M", { max_bytes: 999_999 }],
    ["size:<=1.5MB", { max_bytes: 1_500_000 }],
    ["size:<0", { max_bytes: 0 }],
    ["size:4k-1M", { min_bytes: 4000, max_bytes: 1_000_000 }],
    ["since:09:10", { since_us: DAY + 33_000e6 }],
    ["until:2026-11-27T00:00:00.000001", { until_us: DAY + 86_400e6 + 1 }],
    ["pat:flag", { pattern_id: 3 }],
    ['pattern:"path traversal"', { pattern_id: 7 }],
    ["pat:7", { pattern_id: 7 }],
    ["tag:x", { tag: "x" }],
    ["profile:http", { profile: "http" }],
    ["fav:yes", { only_favorites: true }],
    ["favourite:no", {}],
    ["matched:yes", { only_matched: true }],
    ["hidden:yes", { include_hidden: true }],
    ['text:"GET /flag"', { text: "GET /flag" }],
    ["GET /flag", { text: "GET /flag" }],
    ['"GET  /flag" svc:http', { text: "GET  /flag", service: "http" }],
  ])("%s", (text, params) => {
    expect(parse(text)).toMatchObject({ params, data: null, faults: [] });
  });

  it("is in this table", () => {
    for (const { example } of Object.values(KEYS)) expect(faultsOf(example)).toEqual([]);
  });

  it.each([
    ["data:flag", { kind: "substring", value: "flag" }],
    ['data:"two words"', { kind: "substring", value: "two words" }],
    ["data:/flag\\{[a-z ]+/", { kind: "regex", value: "flag\\{[a-z ]+" }],
    ["data:/a\\/b/", { kind: "regex", value: "a/b" }],
    ["data:hex:deadbeef", { kind: "binary", value: "deadbeef" }],
    ["data:/a/b c/ svc:http", { kind: "regex", value: "a/b c" }],
    ['data:"/etc/passwd"', { kind: "substring", value: "/etc/passwd" }],
  ])("%s looks for content", (text, data) => {
    expect(parse(text).data).toEqual(data);
  });
});

describe("faults", () => {
  it.each([
    ["svc:htp", /^one of unknown, http/],
    ["svc:", /has no value, such as svc:http/],
    ['tag:""', /has no value/],
    ["port:65536", /up to 65535/],
    ["port:http", /up to 65535/],
    ["addr:10.0.0", /neither an address/],
    ["addr:10.0.0.256", /neither an address/],
    ["addr:10.0.0.0/33", /neither an address/],
    ["addr:1:2", /neither an address/],
    ["size:4k", /a size is/],
    ["size:>4q", /a size is/],
    ["size:2M-1M", /a size is/],
    ["size:>999999999999t", /a size is/],
    ["since:25:00", /a time is/],
    ["since:soon", /a time is/],
    ["pat:nothing", /no pattern of this name/],
    ["fav:maybe", /one of yes, no/],
    ["constructor:x", /is no key/],
    ["toString:x", /is no key/],
    ["foo:bar", /is no key.*in quotes/],
    ['"open', /closing " is missing/],
    ["data:/etc/passwd svc:http", /closing \/ is missing; text that begins with/],
    ["svc:http svc:dns", /given twice/],
    ["service:http svc:http", /given twice/],
  ])("%s", (text, fault) => {
    expect(faultsOf(text).join()).toMatch(fault);
  });

  it("say where they are, and leave the other terms alone", () => {
    const { params, faults } = parse('svc:http  port:x "a b" nokey:1');
    expect(params).toEqual({ service: "http", text: "a b" });
    expect(faults.map(({ start, end }) => [start, end])).toEqual([
      [10, 16],
      [23, 30],
    ]);
  });

  it("are all that can go wrong", () => {
    const pieces = ["svc:", '"', "/", "\\", " ", "data:", ":", "é", "\u0000", "size:>", "9", "x"];
    for (let i = 0; i < 4000; i++) {
      const text = Array.from({ length: 8 }, (_, k) => pieces[(i * 31 + k * k * 7 + i * k) % 12]);
      const terms = splitTerms(text.join(""));
      expect(terms.every(({ start, end }) => start < end)).toBe(true);
      parse(text.join(""));
    }
  });
});

describe("quotes", () => {
  it.each(["plain", "two words", 'a "b" c', "back\\slash", '\\"', "a\\ b"])("%s", (value) => {
    expect(splitTerms(`tag:${quote(value)}`)).toMatchObject([{ key: "tag", value, fault: null }]);
  });

  it("inside a word are letters", () => {
    expect(parse('a"b c"').params.text).toBe('a"b c"');
  });
});

describe("times", () => {
  it.each([
    ["9:10", DAY + 33_000e6],
    ["09:10:05", DAY + 33_005e6],
    ["09:10:05.25", DAY + 33_005.25e6],
    ["2026-11-27", DAY + 86_400e6],
    ["2026-11-27T09:10Z", DAY + 86_400e6 + 33_000e6],
    ["1768640573900000", 1_768_640_573_900_000],
    ["2026-13-01", null],
    ["2026-01-32", null],
    ["09:60", null],
    ["", null],
    ["9999999999999999", null],
  ])("%s", (text, us) => {
    expect(parseTime(text, HERE.dayOf_us)).toBe(us);
  });
});

describe("withTerm", () => {
  it.each([
    ["", "svc", "http", "svc:http"],
    ["svc:dns  port:53", "svc", "http", "port:53 svc:http"],
    ['"a  b" service:dns', "svc", null, '"a  b"'],
    ["x", "tag", "two words", 'x tag:"two words"'],
  ] as const)("%s, %s = %s", (text, key, value, result) => {
    expect(withTerm(text, key, value)).toBe(result);
  });
});
