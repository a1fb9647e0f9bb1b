/** Where a stream stands in a list that has not read that part: for links, and after a jump. */

import { queryOptions, useQuery } from "@tanstack/react-query";

import { request, type Params, type Stream, type StreamPage } from "../api/client";
import { keys } from "../api/keys";
import { useStaleTime } from "../view/flow";
import type { Listed } from "./blocks";

export interface Standing {
  number: number;
  /** Its place from the live edge on; null = it does not pass the filter. */
  place: number | null;
}

function placeQuery({ params, order }: Listed, id: string) {
  return queryOptions({
    queryKey: [...keys.streams, "place", params, order, id],
    queryFn: async ({ signal }): Promise<Standing> => {
      const { number } = await request<Stream>(`/api/streams/${id}`, { signal });
      const cursor = order === "newest" ? number + 1 : number - 1;
      const from = cursor < 0 ? {} : { cursor };
      const asked = { ...(params as Params), order, ...from, limit: 1 };
      const page = await request<StreamPage>("/api/streams", { params: asked, signal });
      const passes = page.streams[0]?.stream_id_hex === id;
      return { number, place: passes ? page.before : null };
    },
    retry: false,
  });
}

export function usePlace(listed: Listed, id: string | null, enabled: boolean): Standing | null {
  const staleTime = useStaleTime();
  const query = placeQuery(listed, id ?? "");
  const { data } = useQuery({ ...query, staleTime, enabled: enabled && id !== null });
  return id === null ? null : (data ?? null);
}
