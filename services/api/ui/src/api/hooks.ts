/** What everybody reads, under the cache's keys, as the API sends it. */

import { useQuery } from "@tanstack/react-query";

import type { HealthDocument } from "../status/health";
import { request, type Schemas } from "./client";
import { keys } from "./keys";
import { useLive } from "./LiveProvider";

const HEALTH_MS = 2000;

export function useHealth() {
  const { connected } = useLive();
  return useQuery({
    queryKey: keys.health,
    queryFn: ({ signal }) => request<HealthDocument>("/api/health", { signal }),
    refetchInterval: connected && HEALTH_MS,
  });
}

/** pollMs: progress of patterns is not told by changes; who shows it asks for it. */
export function usePatterns({ pollMs }: { pollMs?: number } = {}) {
  return useQuery({
    queryKey: keys.patterns,
    queryFn: ({ signal }) => request<Schemas["PatternList"]>("/api/patterns", { signal }),
    refetchInterval: pollMs ?? false,
  });
}

export function useProfiles() {
  return useQuery({
    queryKey: keys.profiles,
    queryFn: ({ signal }) => request<Schemas["ProfileList"]>("/api/profiles", { signal }),
  });
}

export function useHideRules() {
  return useQuery({
    queryKey: keys.rules,
    queryFn: ({ signal }) => request<Schemas["HideRuleList"]>("/api/hide-rules", { signal }),
  });
}
