/** The matches of a stream in the order in which they were captured, and the pattern of each. */

import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";

import { request, type Schemas } from "../../api/client";
import { keys } from "../../api/keys";
import { patternsQuery } from "../../api/queries";
import { visibleLine } from "../../format/visible";

export type Match = Schemas["Match"];

export interface FoundMatches {
  matches: readonly Match[];
  /** What the server keeps; more than `matches` when there are too many to show. */
  total: number;
}

const PAGES_MAX = 8;
const NAME_MAX = 120;
const NONE: FoundMatches = { matches: [], total: 0 };

export function useMatches(id: string, enabled: boolean) {
  const query = useQuery<FoundMatches>({
    queryKey: keys.matches(id),
    queryFn: ({ signal }) => readAll(id, signal),
    enabled,
  });
  return { ...query, found: query.data ?? NONE };
}

async function readAll(id: string, signal: AbortSignal): Promise<FoundMatches> {
  const matches: Match[] = [];
  let total = 0;
  let cursor: number | null = 0;
  for (let i = 0; i < PAGES_MAX && cursor !== null; i++) {
    const page: Schemas["Matches"] = await request(`/api/streams/${id}/matches`, {
      params: { cursor },
      signal,
    });
    matches.push(...page.matches);
    total = page.total;
    cursor = page.next_cursor;
  }
  return { matches: matches.sort(captured), total };
}

/** The server gives them by direction and place. */
function captured(a: Match, b: Match): number {
  return a.ts_us - b.ts_us || a.direction.localeCompare(b.direction) || a.start - b.start;
}

export interface PatternLook {
  /** Safe to show: it may be captured text. */
  name: string;
  /** #rrggbb, "" where nothing is known. */
  color: string;
}

/** Name and colour of patterns by their numbers. */
export function usePatterns(): ReadonlyMap<number, PatternLook> {
  const { data } = useQuery(patternsQuery());
  return useMemo(
    () =>
      new Map(
        data?.patterns.map(({ id, name, color }) => [
          id,
          { name: visibleLine(name.slice(0, NAME_MAX)), color },
        ]),
      ),
    [data],
  );
}
