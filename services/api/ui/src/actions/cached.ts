/** Rows of streams in the query cache, wherever a list keeps them. */

import type { Stream } from "../api/client";

/** A list may keep less of a row. */
export type ListedStream = Omit<Stream, "directions">;

const DEPTH_MAX = 5; // pages of a list of rows, with a little around

function isStream(value: object): value is ListedStream {
  return "stream_id_hex" in value && "endpoint_a" in value;
}

/** A stream's row in what a query has. */
export function findStream(data: unknown, id: string, depth = 0): ListedStream | undefined {
  if (typeof data !== "object" || data === null || depth > DEPTH_MAX) return undefined;
  if (isStream(data)) return data.stream_id_hex === id ? data : undefined;
  for (const value of Object.values(data)) {
    const found = findStream(value, id, depth + 1);
    if (found) return found;
  }
  return undefined;
}

/** The same with a row changed; what does not hold it stays the very same object. */
export function withStream<T>(data: T, id: string, change: Partial<Stream>, depth = 0): T {
  if (typeof data !== "object" || data === null || depth > DEPTH_MAX) return data;
  if (isStream(data)) return data.stream_id_hex === id ? { ...data, ...change } : data;
  if (Array.isArray(data)) {
    const rows = data.map((value: unknown) => withStream(value, id, change, depth + 1));
    return rows.some((row, i) => row !== data[i]) ? (rows as T) : data;
  }
  let changed: Record<string, unknown> | null = null;
  for (const [name, value] of Object.entries(data)) {
    const other: unknown = withStream(value as unknown, id, change, depth + 1);
    if (other !== value) (changed ??= { ...data } as Record<string, unknown>)[name] = other;
  }
  return changed === null ? data : (changed as T);
}
