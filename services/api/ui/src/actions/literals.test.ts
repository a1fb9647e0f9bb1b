import { execFileSync } from "node:child_process";

import { describe, expect, it } from "vitest";

import { printf, pythonBytes, regexOf, shellWord } from "./literals";

const utf8 = (text: string) => new TextEncoder().encode(text);
const ALL = Uint8Array.from({ length: 256 }, (_, i) => i);

describe("Python bytes", () => {
  it("tells every octet", () => {
    expect(pythonBytes(utf8("a'b\\\r\n\t"))).toBe(`b"a'b\\\\\\r\\n\\t"`);
    expect(pythonBytes(utf8("'\""))).toBe(`b'\\'"'`);
    expect(pythonBytes(Uint8Array.of(0, 0x7f, 0x80, 0xff))).toBe("b'\\x00\\x7f\\x80\\xff'");
  });

  it("is what Python reads", () => {
    const code = `import sys; sys.stdout.write((${pythonBytes(ALL)}).hex())`;
    const read = execFileSync("python3", ["-c", code], { encoding: "utf8" });
    expect(Buffer.from(read, "hex")).toEqual(Buffer.from(ALL));
  });
});

describe("regular expressions", () => {
  it("finds the octets and nothing else", () => {
    const escaped = regexOf(ALL);
    expect(/^[\x20-\x7e]*$/.test(escaped)).toBe(true);
    const latin1 = String.fromCharCode(...ALL);
    expect(new RegExp(`^${escaped}$`).test(latin1)).toBe(true);
    expect(new RegExp(`^${regexOf(utf8("a.b"))}$`).test("axb")).toBe(false);
  });
});

/** What a shell makes of a word. */
function read(shell: string, word: string): Buffer {
  return execFileSync(shell, ["-c", `printf '%s' ${word}`]);
}

describe("words of a shell", () => {
  const HOSTILE = ["$(id)`id`", "'; id #", "a'b'c", '"$x"\\', "!!", "-n", "%s%n", "~/*", "é\u202e"];

  it.each(["sh", "bash"])("are taken as they are by %s", (shell) => {
    for (const text of HOSTILE) expect(read(shell, shellWord(utf8(text))).toString()).toBe(text);
    const octets = ALL.subarray(1); // a word has no NUL
    expect(read(shell, shellWord(octets))).toEqual(Buffer.from(octets));
  });

  it.each(["sh", "bash"])("are octets of a body by %s, NUL among them", (shell) => {
    for (const octets of [ALL, utf8("-n %s \\0"), utf8("--")])
      expect(execFileSync(shell, ["-c", printf(octets)])).toEqual(Buffer.from(octets));
  });
});
