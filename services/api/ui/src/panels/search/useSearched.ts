/** The filter of the page as a search takes it. */

import { useQuery } from "@tanstack/react-query";

import { request, type StreamPage } from "../../api/client";
import { keys } from "../../api/keys";
import { usePatterns } from "../../api/hooks";
import { parseFilter, type Filter } from "../../view/filter";
import { useView } from "../../view/useView";

export function useSearched(): Filter {
  const { q } = useView();
  const patterns = usePatterns().data?.patterns ?? [];
  const newest = useQuery({
    queryKey: [...keys.streams, "newest"],
    queryFn: ({ signal }) =>
      request<StreamPage>("/api/streams", {
        params: { limit: 1, include_hidden: true },
        signal,
      }),
  });
  const dayOf_us = newest.data?.streams[0]?.last_seen_us ?? 0;
  return parseFilter(q, { patterns, dayOf_us });
}
