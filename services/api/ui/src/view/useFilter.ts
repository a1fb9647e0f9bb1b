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
    const asked = askedWith(filter, search);
    const understood = context.ready;
    return {
      filter,
      params: asked ?? filter.params,
      understood,
      ready: understood && asked !== null,
    };
  }, [q, search, context]);
}

/** What the list is asked with if that is known before anything was read; null: it is not. */
export function paramsAtOnce(q: string, search: string): ListParams | null {
  if (namesPattern(q) || needsDay(q)) return null;
  return askedWith(parseFilter(q, { patterns: [], dayOf_us: OPENED_US }), search);
}

/** null: a search of content has to begin first. */
function askedWith({ params, data }: Filter, search: string): ListParams | null {
  if (search !== "") return { ...params, search };
  return data === null ? params : null;
}

function namesPattern(text: string): boolean {
  return /\bpat(tern)?:/i.test(text);
}

/** What names and times in this text mean. */
export function useFilterContext(text: string): Context & { ready: boolean } {
  const named = namesPattern(text);
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
