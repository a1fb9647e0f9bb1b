/** Names that a filter can have here and now, with counts where the server has them. */

import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";

import { CONTENT_KINDS, PROTOCOLS, SERVICES, STATUSES } from "../api/names";
import { facetsQuery, patternsQuery, profilesQuery } from "../api/queries";
import type { Known, KnownValue } from "../view/suggest";

const VALUE_MAX = 80;

interface Counted {
  name: string;
  count: number;
}

/** asked: somebody looks at them. Counts are of all streams, and take the server some time. */
export function useKnown(asked: boolean): Known {
  const facets = useQuery({ ...facetsQuery({}), enabled: asked }).data;
  const patterns = useQuery(patternsQuery()).data?.patterns;
  const profiles = useQuery(profilesQuery()).data?.profiles;
  return useMemo(() => {
    const matched = new Map(facets?.patterns.map((each) => [each.pattern_id, each.streams]));
    return {
      svc: counted(SERVICES, facets?.services),
      proto: counted(PROTOCOLS, facets?.protocols),
      kind: counted(CONTENT_KINDS, facets?.content_kinds),
      status: counted(STATUSES, facets?.statuses),
      tag: facets?.tags.map(({ tag, streams }) => ({ value: tag, count: streams })) ?? [],
      pat: (patterns ?? []).map(({ id, name, value }) => ({
        value: name,
        title: value.slice(0, VALUE_MAX),
        count: matched.get(id) ?? null,
      })),
      profile: (profiles ?? [])
        .filter(({ enabled }) => enabled)
        .map(({ id, name }) => ({ value: id, title: name })),
    };
  }, [facets, patterns, profiles]);
}

/** What streams have comes first, the most frequent before the others. */
function counted(names: readonly string[], found: readonly Counted[] = []): KnownValue[] {
  const counts = new Map(found.map(({ name, count }) => [name, count]));
  return names
    .map((value) => ({ value, count: counts.get(value) ?? null }))
    .sort((a, b) => Number(b.count) - Number(a.count));
}
