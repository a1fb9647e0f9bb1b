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

/** Gathers what changed, so that a thousand changes cost one reading. */
export class Changes {
  private readonly touched = new Map<string, readonly unknown[]>();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly client: QueryClient) {}

  add(delta: Delta): void {
    for (const key of touchedBy(delta)) this.touched.set(JSON.stringify(key), key);
    if (this.touched.size > 0) this.timer ??= setTimeout(() => this.tell(), waitOf(delta));
  }

  stop(): void {
    clearTimeout(this.timer);
  }

  private tell(): void {
    this.timer = undefined;
    for (const queryKey of this.touched.values()) void this.client.invalidateQueries({ queryKey });
    this.touched.clear();
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
