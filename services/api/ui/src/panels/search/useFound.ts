/** A search that is under way: asked again and again for what is new, and kept alive. */

import { useQuery, useQueryClient } from "@tanstack/react-query";

import { ApiError, request } from "../../api/client";
import { keys } from "../../api/keys";
import { merged, NOTHING, type Found, type Hits } from "./found";

const POLL_MS = 250;
const KEEP_MS = 20_000; // the server forgets a search that nobody asks for within a minute

export function useFound(id: string) {
  const client = useQueryClient();
  return useQuery({
    queryKey: keys.search(id),
    queryFn: async ({ signal }) => {
      const before = client.getQueryData<Found>(keys.search(id)) ?? NOTHING;
      const params = { after: before.cursor };
      return merged(before, await request<Hits>(`/api/search/${id}`, { params, signal }));
    },
    enabled: /^[0-9a-f]{16}$/.test(id),
    retry: false,
    refetchInterval: ({ state }) => {
      if (isForgotten(state.error)) return false;
      return state.data?.done ? KEEP_MS : POLL_MS;
    },
  });
}

/** For as long as the page's address names a search, its hits can be gone back to. */
export function useSearchKept(id: string): void {
  useFound(id);
}

/** The server does not know the search, or cannot go on with it. */
export function isForgotten(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 404 || error.status === 400);
}
