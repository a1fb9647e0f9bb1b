/** What a search has found so far, put together from the answers to "what is new since". */

import type { Schemas } from "../../api/client";

export type Hit = Schemas["Hit"];
export type Hits = Schemas["Hits"];

export interface Found {
  hits: readonly Hit[];
  /** To ask for what is new; null before the first answer. */
  cursor: string | null;
  progress: Hits["progress"];
  done: boolean;
  cancelled: boolean;
  /** A shard stopped at the search's limit. */
  capped: boolean;
  /** There were more than are kept here. */
  full: boolean;
  trouble: readonly string[];
  missing: readonly string[];
}

export const HITS_KEPT = 20_000;

export const NOTHING: Found = {
  hits: [],
  cursor: null,
  progress: { scanned_bytes: 0, total_bytes: 0 },
  done: false,
  cancelled: false,
  capped: false,
  full: false,
  trouble: [],
  missing: [],
};

/** `answer` was asked for with the cursor of `before`. Hits stay in their places. */
export function merged(before: Found, answer: Hits): Found {
  const room = HITS_KEPT - before.hits.length;
  return {
    hits: answer.hits.length > 0 ? [...before.hits, ...answer.hits.slice(0, room)] : before.hits,
    cursor: answer.next_cursor,
    progress: answer.progress,
    done: answer.done,
    cancelled: answer.cancelled,
    capped: answer.capped,
    full: before.full || answer.hits.length > room,
    trouble: answer.trouble,
    missing: answer.missing,
  };
}

/** How far it is, from 0 to 1. */
export function progressOf({ done, cancelled, progress }: Found): number {
  if (done && !cancelled) return 1;
  return progress.total_bytes > 0 ? progress.scanned_bytes / progress.total_bytes : 0;
}
