/** Searches of content, as queries: one that a filter's `data:` term begins, and how far it is. */

import { queryOptions } from "@tanstack/react-query";

import { request, type Schemas } from "../api/client";
import type { Filter } from "./filter";

export interface SearchProgress {
  hits: number;
  /** Where the next reading goes on. */
  next: string;
  /** 0 … 1 */
  part: number;
  done: boolean;
  cancelled: boolean;
  capped: boolean;
  /** What was not searched, and why; a sentence each. */
  trouble: string[];
}

const POLL_MS = 500;
const KEEP_MS = 20_000; // the server forgets a search that nobody asks for within a minute

/** Begins the search of the filter's `data:` term, among the streams of its other terms. */
export function searchBegun({ data, params }: Filter) {
  return queryOptions({
    queryKey: ["search", "begun", data, params] as const,
    queryFn: ({ signal }) =>
      request<Schemas["SearchBegun"]>("/api/search", {
        method: "POST",
        json: { ...data, filters: params },
        signal,
      }),
    staleTime: "static",
    gcTime: 0, // it is cancelled when the filter is another one
    retry: false,
  });
}

export function searchProgress(id: string) {
  return queryOptions({
    queryKey: ["search", id, "progress"] as const,
    queryFn: async ({ client, queryKey, signal }): Promise<SearchProgress> => {
      const before = client.getQueryData<SearchProgress>(queryKey);
      const params = { after: before?.next };
      const page = await request<Schemas["Hits"]>(`/api/search/${id}`, { params, signal });
      const { scanned_bytes, total_bytes } = page.progress;
      return {
        hits: (before?.hits ?? 0) + page.hits.length,
        next: page.next_cursor,
        part: total_bytes === 0 ? 1 : Math.min(1, scanned_bytes / total_bytes),
        done: page.done,
        cancelled: page.cancelled,
        capped: page.capped,
        trouble: [...page.trouble, ...page.missing],
      };
    },
    refetchInterval: ({ state }) =>
      state.error !== null ? false : state.data?.done ? KEEP_MS : POLL_MS,
    retry: false,
  });
}

/** Ends a search; what it found so far can still be read. */
export function cancelSearch(id: string): Promise<unknown> {
  return request(`/api/search/${id}`, { method: "DELETE" });
}
