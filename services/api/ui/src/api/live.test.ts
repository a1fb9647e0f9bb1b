import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { events, follow, parseBlock, type Listener } from "./live";

const FEED = [
  ": hello\n\n",
  'id: 7\ndata: {"kind":"stats","note":"é → 🚩"}\n\n',
  "event: missed\nid: 9\ndata: {}\n\n",
  ": still here\n\n",
  "id: 10\ndata: first\ndata: second\n\n",
].join("");
const EVENTS = [
  { id: 7, name: "message", data: '{"kind":"stats","note":"é → 🚩"}' },
  { id: 9, name: "missed", data: "{}" },
  { id: 10, name: "message", data: "first\nsecond" },
];

async function read(chunks: readonly Uint8Array[]) {
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(new Uint8Array(chunk));
      controller.close();
    },
  });
  const found = [];
  for await (const event of events(new Response(body))) found.push(event);
  return found;
}

describe("events", () => {
  const octets = new TextEncoder().encode(FEED);

  it("finds the same wherever the feed is cut", async () => {
    for (let at = 0; at <= octets.length; at++)
      expect(await read([octets.slice(0, at), octets.slice(at)])).toEqual(EVENTS);
  });

  it("finds the same byte by byte", async () => {
    expect(await read(Array.from(octets, (octet) => Uint8Array.of(octet)))).toEqual(EVENTS);
  });

  it("does not tell what was not finished", async () => {
    expect(await read([new TextEncoder().encode("id: 1\ndata: whole\n\nid: 2\ndata: ha")])).toEqual(
      [{ id: 1, name: "message", data: "whole" }],
    );
  });

  it("finds nothing in a response without a body", async () => {
    const found = [];
    for await (const event of events(new Response(null))) found.push(event);
    expect(found).toEqual([]);
  });
});

describe("parseBlock", () => {
  it.each([
    [": a comment", null],
    ["", null],
    ["id: 4", null],
    ["event: missed", null],
    ["data", null],
    ["data:x", { id: null, name: "message", data: "x" }],
    ["data:  two spaces", { id: null, name: "message", data: " two spaces" }],
    ["id: five\ndata: x", { id: null, name: "message", data: "x" }],
    ["id: 5\nretry: 3\nunknown: y\ndata: x:y", { id: 5, name: "message", data: "x:y" }],
  ])("%j is %j", (block, event) => expect(parseBlock(block)).toEqual(event));
});

describe("follow", () => {
  const listener = {
    changed: vi.fn<Listener["changed"]>(),
    missed: vi.fn<Listener["missed"]>(),
    connected: vi.fn<Listener["connected"]>(),
    refused: vi.fn<Listener["refused"]>(),
  };
  const asked: string[] = [];
  let say: (text: string) => void;

  /** A server that says what `say` says, and never ends by itself. */
  function serve(address: string, { signal }: RequestInit): Promise<Response> {
    asked.push(address);
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      start(controller) {
        say = (text) => controller.enqueue(new TextEncoder().encode(text));
        signal?.addEventListener("abort", () => controller.error(signal.reason));
      },
    });
    return Promise.resolve(new Response(body));
  }

  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal("fetch", serve);
    asked.length = 0;
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
    vi.clearAllMocks();
  });

  it("gives up a connection that has gone silent, and goes on after what it heard last", async () => {
    const stop = follow(listener);
    await vi.advanceTimersByTimeAsync(0);
    say('id: 7\ndata: {"kind":"stats"}\n\n');
    await vi.advanceTimersByTimeAsync(39_000);
    expect(listener.connected.mock.calls).toEqual([[true]]);
    await vi.advanceTimersByTimeAsync(3000);
    expect(listener.connected.mock.calls).toEqual([[true], [false], [true]]);
    expect(asked).toEqual(["/api/live/events", "/api/live/events?cursor=7"]);
    stop();
  });

  it("stays with one whose server says that it is still there", async () => {
    const stop = follow(listener);
    for (let i = 0; i < 8; i++) {
      await vi.advanceTimersByTimeAsync(15_000);
      say(": still here\n\n");
    }
    expect(asked).toHaveLength(1);
    stop();
  });
});
