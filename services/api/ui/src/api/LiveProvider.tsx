/** Follows the run for the whole page: says what is connected, and has what changed read again. */

import { useQueryClient, type QueryClient } from "@tanstack/react-query";
import { createContext, use, useEffect, useMemo, useState, type ReactNode } from "react";

import { keys } from "./keys";
import { follow, type Delta } from "./live";

export interface Live {
  connected: boolean;
  /** When the connection was lost, ms since the epoch; null while it is there. */
  lostAt: number | null;
  /** The server wants a token. */
  refused: boolean;
  /** After a token was given. */
  again: () => void;
}

const LiveContext = createContext<Live | null>(null);

export function useLive(): Live {
  const live = use(LiveContext);
  if (live === null) throw new Error("useLive outside of LiveProvider");
  return live;
}

const OVERVIEW_MS = 1000; // timeline and counts are over all streams: not more often than this
const SETTLE_MS = 250; // changes are gathered for so long before what they touch is read again

export function LiveProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const [lostAt, setLostAt] = useState<number | null>(null);
  const [connected, setConnected] = useState(false);
  const [refused, setRefused] = useState(false);
  const [attempt, setAttempt] = useState(0);

  useEffect(() => {
    const changes = new Changes(client);
    const stop = follow({
      changed: (deltas) => deltas.forEach((delta) => changes.add(delta)),
      missed: () => void client.invalidateQueries(),
      connected: (now) => {
        setConnected(now);
        setLostAt((since) => (now ? null : (since ?? Date.now())));
        if (now) void client.invalidateQueries();
      },
      refused: () => {
        setConnected(false);
        setRefused(true);
      },
    });
    return () => {
      stop();
      changes.stop();
    };
  }, [client, attempt]);

  const live = useMemo(
    () => ({
      connected,
      lostAt,
      refused,
      again: () => {
        setRefused(false);
        setAttempt((n) => n + 1);
      },
    }),
    [connected, lostAt, refused],
  );
  return <LiveContext value={live}>{children}</LiveContext>;
}

/**
 * Gathers what changed, so that a thousand changes cost one reading. What is being read is not
 * asked for again before it is here: a server that is slower than the changes would never answer.
 */
export class Changes {
  private readonly touched = new Map<string, readonly unknown[]>();
  private readonly reading = new Set<string>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private stopped = false;

  constructor(private readonly client: QueryClient) {}

  add(delta: Delta): void {
    for (const key of touchedBy(delta)) this.touched.set(JSON.stringify(key), key);
    this.tellIn(waitOf(delta));
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  private tellIn(ms: number): void {
    if (this.touched.size > 0 && !this.stopped) this.timer ??= setTimeout(() => this.tell(), ms);
  }

  private tell(): void {
    this.timer = undefined;
    for (const [name, queryKey] of this.touched)
      if (!this.reading.has(name)) {
        this.touched.delete(name);
        void this.read(name, queryKey);
      }
  }

  private async read(name: string, queryKey: readonly unknown[]): Promise<void> {
    this.reading.add(name);
    await this.client.invalidateQueries({ queryKey });
    if (queryKey === keys.overview) await new Promise((done) => setTimeout(done, OVERVIEW_MS));
    this.reading.delete(name);
    this.tellIn(SETTLE_MS);
  }
}

/** What somebody did is shown at once. */
function waitOf(delta: Delta): number {
  return delta.kind === "state" ? 0 : SETTLE_MS;
}

/** The cache's keys whose contents a change may have changed. */
export function touchedBy(delta: Delta): (readonly unknown[])[] {
  const ids = (Array.isArray(delta["ids"]) ? delta["ids"] : []) as string[];
  const streams = ids.map(keys.stream);
  switch (delta.kind) {
    case "stats":
    case "status":
      return [keys.health];
    case "streams":
      return [keys.streams, keys.overview, ...streams];
    case "matches":
      return [keys.streams, keys.overview, keys.patterns, ...streams];
    case "messages":
      return [];
    case "state": {
      const id = delta["stream_id_hex"];
      if (typeof id === "string") return [keys.streams, keys.overview, keys.stream(id)];
      const lists = { pattern: keys.patterns, profile: keys.profiles, rule: keys.rules };
      const list = lists[delta["what"] as keyof typeof lists];
      return [keys.streams, keys.overview, list];
    }
  }
}
