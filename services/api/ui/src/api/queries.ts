/** What regions read from the server in common: keys, addresses and types of the answers. */

import { keepPreviousData, queryOptions } from "@tanstack/react-query";

import type { HealthDocument } from "../status/health";
import { request, type Params, type Schemas, type Stream } from "./client";
import { keys } from "./keys";
import type { StreamParams } from "../view/filter";

/** A filter, and a search of content whose hits a stream must have. */
export type ListParams = StreamParams & { search?: string };

export type Numbered = Stream & { number: number };
export interface NumberedPage {
  streams: Numbered[];
  total: number;
  hidden: number;
  before: number;
}

export interface Facets {
  total: number;
  hidden: number;
  favorites: number;
  services: { name: string; count: number; spark: number[] }[];
  protocols: { name: string; count: number }[];
  statuses: { name: string; count: number }[];
  content_kinds: { name: string; count: number }[];
  patterns: { pattern_id: number; streams: number }[];
  tags: { tag: string; streams: number }[];
}

export interface Buckets {
  start_us: number;
  bucket_us: number;
  streams: number[];
  bytes: number[];
  /** Streams that began before all buckets. */
  earlier?: number;
  /** Streams with a match. */
  matches: { pattern_id: number; counts: number[] }[];
}

export type Profile = Schemas["KnownProfile"];

const DAY_STALE_MS = 60_000;
/** Numbers of a run are not told by changes alone; who shows them asks so often. */
export const HEALTH_MS = 2000;

export const healthQuery = () =>
  queryOptions({
    queryKey: keys.health,
    queryFn: ({ signal }) => request<HealthDocument>("/api/health", { signal }),
  });

export const patternsQuery = () =>
  queryOptions({
    queryKey: keys.patterns,
    queryFn: ({ signal }) => request<Schemas["PatternList"]>("/api/patterns", { signal }),
  });

export const profilesQuery = () =>
  queryOptions({
    queryKey: keys.profiles,
    queryFn: ({ signal }) => request<Schemas["ProfileList"]>("/api/profiles", { signal }),
  });

export const hideRulesQuery = () =>
  queryOptions({
    queryKey: keys.rules,
    queryFn: ({ signal }) => request<Schemas["HideRuleList"]>("/api/hide-rules", { signal }),
  });

export const facetsQuery = (params: ListParams) =>
  queryOptions({
    queryKey: keys.facets(params),
    queryFn: ({ signal }) =>
      request<Facets>("/api/streams/facets", { params: params as Params, signal }),
    placeholderData: keepPreviousData,
  });

export const timelineQuery = (params: ListParams, buckets: number) =>
  queryOptions({
    queryKey: [...keys.timeline(params), buckets],
    queryFn: ({ signal }) =>
      request<Buckets>("/api/streams/timeline", {
        params: { ...(params as Params), buckets },
        signal,
      }),
    placeholderData: keepPreviousData,
  });

/** µs since the epoch at which the newest stream began; null while there is none. */
export const dayQuery = () =>
  queryOptions({
    queryKey: keys.day,
    queryFn: async ({ signal }) => {
      const params = { limit: 1, include_hidden: true };
      const page = await request<NumberedPage>("/api/streams", { params, signal });
      return page.streams[0]?.first_seen_us ?? null;
    },
    staleTime: DAY_STALE_MS,
    refetchInterval: (query) => (query.state.data === null ? 5000 : false),
  });
