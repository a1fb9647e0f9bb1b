import { execFileSync } from "node:child_process";

import { describe, expect, it } from "vitest";

import { curlOf, type HttpRequest } from "./curl";

const utf8 = (text: string) => new TextEncoder().encode(text);
const SERVER = { addr: "10.0.0.2", port: 8080 };

function asked(head: string | Uint8Array, body: string | Uint8Array = ""): HttpRequest {
  return {
    head: typeof head === "string" ? utf8(head) : head,
    body: typeof body === "string" ? utf8(body) : body,
    server: SERVER,
  };
}

/** The arguments that a shell would give to curl, and its standard input. */
function run(request: HttpRequest): { args: string[]; input: Buffer } {
  const told = execFileSync(
    "sh",
    [
      "-c",
      `curl() { for a; do printf '%s\\0' "$a"; done; printf '\\0'; cat; }\n${curlOf(request)}`,
    ],
    { stdio: ["ignore", "pipe", "pipe"], encoding: "latin1" },
  );
  const end = told.indexOf("\0\0");
  return {
    args: told.slice(0, end).split("\0"),
    input: Buffer.from(told.slice(end + 2), "latin1"),
  };
}

describe("curl", () => {
  it("repeats a plain request", () => {
    const { args, input } = run(asked("GET /a?b=c HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n"));
    expect(args).toEqual([
      "--globoff",
      "--path-as-is",
      "http://10.0.0.2:8080/a?b=c",
      ...["--header", "Host: h", "--header", "Accept: */*", "--header", "user-agent:"],
    ]);
    expect(input.length).toBe(0);
  });

  it("sends a body of text inline, never as a file's name", () => {
    const { args } = run(asked("POST / HTTP/1.1\r\nContent-Length: 11\r\n\r\n", "@/etc/shadow"));
    expect(args.slice(-2)).toEqual(["--data-raw", "@/etc/shadow"]);
    expect(args.join(" ")).not.toContain("Content-Length");
    expect(args).toContain("content-type:"); // curl would say it is a form
  });

  it("pipes a body that is no text", () => {
    const body = Uint8Array.from({ length: 512 }, (_, i) => i & 255);
    const { args, input } = run(asked("PUT /x HTTP/1.0\n\n", body));
    expect(args).toEqual(
      expect.arrayContaining(["--request", "PUT", "--http1.0", "--data-binary", "@-"]),
    );
    expect(input).toEqual(Buffer.from(body));
  });

  it("says what a request target is when it is no path", () => {
    const { args } = run(asked("GET http://other.example/ HTTP/1.1\r\n\r\n"));
    expect(args).toEqual(expect.arrayContaining(["--request-target", "http://other.example/"]));
    expect(args).toContain("http://10.0.0.2:8080/");
    expect(run(asked("OPTIONS * HTTP/1.1\r\n\r\n")).args).toContain("*");
  });

  it("writes an IPv6 address as URLs have it", () => {
    const server = { addr: "fe80::1", port: 80 };
    expect(curlOf({ ...asked("GET / HTTP/1.1\r\n\r\n"), server })).toContain(
      "'http://[fe80::1]:80/'",
    );
  });

  it("keeps empty headers, and drops what is no header or would be an option", () => {
    const head =
      "GET / HTTP/1.1\r\nX-Empty:\r\n@/etc/passwd: x\r\n-K: evil\r\nbroken\r\n folded\r\n\r\n";
    const { args } = run(asked(head));
    expect(args).toContain("X-Empty;");
    expect(args).toContain("-K: evil"); // the value of --header: no option
    expect(args.some((arg) => arg.startsWith("@") || arg.includes("broken"))).toBe(false);
  });

  it("lets a shell see nothing of hostile octets", () => {
    const nasty = `'"\`$(id)$x;|&<>!\\%s\u0001\u00ff`;
    const head = Buffer.concat([
      Buffer.from(`GE'T /${nasty} HTTP/1.1\r\nX-A: ${nasty}\r\nX-B: -o${nasty}\r\n\r\n`, "latin1"),
    ]);
    const { args } = run(asked(Uint8Array.from(head)));
    expect(args).toContain(`X-A: ${nasty}`);
    expect(args).toContain(`X-B: -o${nasty}`);
    const url = args.find((arg) => arg.startsWith("http://"));
    expect(url).toBe(
      `http://10.0.0.2:8080/${nasty.replace(/[\u0001\u00ff]/g, (c) => `%${c.charCodeAt(0).toString(16).padStart(2, "0").toUpperCase()}`).replace(" ", "%20")}`,
    );
  });

  it("is one command for any octets", () => {
    for (let seed = 1; seed < 40; seed++) {
      const octets = Uint8Array.from(
        { length: 300 },
        (_, i) => (i * seed * 7 + (i >> 3) * seed) & 255,
      );
      const { args } = run(asked(octets, octets));
      expect(args[0]).toBe("--globoff");
      expect(args.filter((arg) => arg.startsWith("http://10.0.0.2:8080/"))).toHaveLength(1);
    }
  });
});
