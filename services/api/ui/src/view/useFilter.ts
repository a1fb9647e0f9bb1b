/** The filter of the view, understood: what all regions ask the server with. */

import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";

import { dayQuery, patternsQuery, type ListParams } from "../api/queries";
import { parseFilter, type Context, type Filter } from "./filter";
import { needsDay } from "./terms";
import { useViewOf } from "./useView";

const OPENED_US = Date.now() * 1000; // the day of times in a run that has no streams yet

export interface TheFilter {
  filter: Filter;
  params: ListParams;
  /** Names and times have their meaning. */
  understood: boolean;
  /** So it can be asked with: a search of content has begun, too. */
  ready: boolean;
}

export function useFilter(): TheFilter {
  const [q, search] = [useViewOf("q"), useViewOf("search")];
  const context = useFilterContext(q);
  return useMemo(() => {
    const filter = parseFilter(q, context);
    const params: ListParams = search ? { ...filter.params, search } : filter.params;
    const understood = context.ready;
    const ready = understood && (filter.data === null || search !== "");
    return { filter, params, understood, ready };
  }, [q, search, context]);
}

/** What names and times in this text mean. */
export function useFilterContext(text: string): Context & { ready: boolean } {
  const named = /\bpat(tern)?:/i.test(text);
  const timed = needsDay(text);
  const patterns = useQuery(patternsQuery());
  const day = useQuery({ ...dayQuery(), enabled: timed });
  const known = patterns.data?.patterns;
  const dayOf_us = day.data ?? null;
  const ready = (!named || !patterns.isPending) && (!timed || !day.isPending);
  return useMemo(
    () => ({ patterns: known ?? [], dayOf_us: dayOf_us ?? OPENED_US, ready }),
    [known, dayOf_us, ready],
  );
}
