/** Follows `/api/live/events`: what changed, as it changes, for as long as the page is open. */

import { send } from "./client";

export interface Delta {
  cursor: number;
  kind: "stats" | "streams" | "matches" | "messages" | "state" | "status";
  [field: string]: unknown;
}

export interface Listener {
  /** Changes in order. */
  changed(deltas: readonly Delta[]): void;
  /** Something was missed, or the connection is new: everything is to be read again. */
  missed(): void;
  /** true: connected; false: lost, tried again soon. */
  connected(now: boolean): void;
  /** The server refuses (401): nothing is tried until the page says so. */
  refused(error: unknown): void;
}

const RETRY_MS = 1000;
const SILENT_MS = 40_000; // the server says something every 15 s

/** Starts following; the answer stops it. Read through fetch, which can send the token. */
export function follow(listener: Listener): () => void {
  const stop = new AbortController();
  void run(listener, stop.signal);
  return () => stop.abort();
}

async function run(listener: Listener, signal: AbortSignal): Promise<void> {
  let cursor: number | null = null;
  let first = true;
  while (!stopped(signal)) {
    const watch = new Watch(signal);
    try {
      const params = { cursor };
      const response = await send("/api/live/events", { params, signal: watch.signal });
      listener.connected(true);
      if (!first && cursor === null) listener.missed();
      first = false;
      for await (const event of events(response, () => watch.heard())) {
        if (event.id !== null) cursor = event.id;
        if (event.name === "missed") listener.missed();
        else listener.changed([JSON.parse(event.data) as Delta]);
      }
    } catch (error) {
      if (isRefusal(error)) {
        listener.refused(error);
        return;
      }
    } finally {
      watch.end();
    }
    if (stopped(signal)) return;
    listener.connected(false);
    await new Promise((done) => setTimeout(done, RETRY_MS));
  }
}

/** Gives a connection up that is silent: it is dead, and nobody may ever say so. */
class Watch {
  private readonly silence = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;
  readonly signal: AbortSignal;

  constructor(stop: AbortSignal) {
    this.signal = AbortSignal.any([stop, this.silence.signal]);
    this.heard();
  }

  heard(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.silence.abort(), SILENT_MS);
  }

  end(): void {
    clearTimeout(this.timer);
  }
}

function stopped(signal: AbortSignal): boolean {
  return signal.aborted;
}

function isRefusal(error: unknown): boolean {
  return error instanceof Error && "status" in error && error.status === 401;
}

interface ServerEvent {
  id: number | null;
  name: string;
  data: string;
}

/** Server-sent events of a body (HTML standard, 9.2.6), as this API writes them. */
export async function* events(
  response: Response,
  heard: () => void = () => undefined,
): AsyncGenerator<ServerEvent> {
  if (response.body === null) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    heard();
    text += value;
    const blocks = text.split("\n\n");
    text = blocks.pop() ?? "";
    for (const block of blocks) {
      const event = parseBlock(block);
      if (event !== null) yield event;
    }
  }
}

/** null for comments and what carries no data. */
export function parseBlock(block: string): ServerEvent | null {
  const event: ServerEvent = { id: null, name: "message", data: "" };
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "id" && /^\d+$/.test(value)) event.id = Number(value);
    else if (field === "event") event.name = value;
    else if (field === "data") event.data += event.data ? `\n${value}` : value;
  }
  return event.data ? event : null;
}
