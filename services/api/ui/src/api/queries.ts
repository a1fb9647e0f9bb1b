/** What regions read from the server in common: keys, addresses and types of the answers. */

import { keepPreviousData, queryOptions } from "@tanstack/react-query";

import { request, type Health, type Schemas, type StreamPage } from "./client";
import { keys } from "./keys";
import type { StreamParams } from "../view/filter";

/** A filter, and a search of content whose hits a stream must have. */
export type ListParams = StreamParams & { search?: string };

export type Facets = Schemas["Facets"];
export type Timeline = Schemas["Timeline"];
export type Profile = Schemas["KnownProfile"];

const DAY_STALE_MS = 60_000;
/** Numbers of a run are not told by changes alone; who shows them asks so often. */
export const HEALTH_MS = 2000;

export const healthQuery = () =>
  queryOptions({
    queryKey: keys.health,
    queryFn: ({ signal }) => request<Health>("/api/health", { signal }),
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
    queryFn: ({ signal }) => request<Facets>("/api/streams/facets", { params, signal }),
    placeholderData: keepPreviousData,
  });

export const timelineQuery = (params: ListParams, buckets: number) =>
  queryOptions({
    queryKey: [...keys.timeline(params), buckets],
    queryFn: ({ signal }) =>
      request<Timeline>("/api/streams/timeline", {
        params: { ...params, buckets },
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
      const page = await request<StreamPage>("/api/streams", { params, signal });
      return page.streams[0]?.first_seen_us ?? null;
    },
    staleTime: DAY_STALE_MS,
    refetchInterval: (query) => (query.state.data === null ? 5000 : false),
  });
