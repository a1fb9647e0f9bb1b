/**
 * The turns of a stream: a screenful at first, a page once nobody waits, more on demand. When the
 * live feed says that the stream has changed, it is read on from where it ended; nothing is read
 * twice.
 */

import { queryOptions, useQuery, useQueryClient, type QueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";

import { request, type Schemas } from "../../api/client";
import { keys } from "../../api/keys";
import { join, NOTHING, type Talk } from "./turns";

/** Of the first page, which somebody waits for; a long turn is cut into parts, each of them one. */
const FIRST = { limit: 8, len: 8192 };
const TURNS = 512; // of another page, of a megabyte at most
const IDLE_MS = 300; // who steps through the list is gone by then
const KEPT_MS = 60_000; // a page may be a megabyte
const MODE = "raw"; // base64: only so offsets are exact

const queryOf = (client: QueryClient, id: string) =>
  queryOptions<Talk>({
    queryKey: keys.conversation(id, MODE),
    queryFn: ({ signal }) => readOn(client, id, signal),
    structuralSharing: false,
    gcTime: KEPT_MS,
  });

/** Begin to read it: it is about to be looked at, and the page takes a while to be drawn. */
export function expectConversation(client: QueryClient, id: string): void {
  // what goes wrong is told by who shows it
  client.query(queryOf(client, id)).catch(() => undefined);
}

export function useConversation(id: string) {
  const client = useQueryClient();
  const query = useQuery(queryOf(client, id));
  const { more, failed } = useMore(client, id);
  useWhole(query.data, more);
  return { ...query, more, moreFailed: failed };
}

/** What there is now, and what has come since. */
async function readOn(client: QueryClient, id: string, signal: AbortSignal): Promise<Talk> {
  const talk = talkOf(client, id);
  if (talk !== undefined && !talk.ended) return talk; // the rest is read when somebody wants it
  return join(talk ?? NOTHING, await readPage(id, talk?.after ?? NOTHING.after, signal));
}

function useMore(client: QueryClient, id: string) {
  const [failed, setFailed] = useState<unknown>(null);
  const busy = useRef(false);
  const more = useCallback(async () => {
    const talk = talkOf(client, id);
    if (busy.current || talk === undefined || talk.ended) return;
    busy.current = true;
    try {
      const page = await readPage(id, talk.after);
      client.setQueryData<Talk>(keys.conversation(id, MODE), (now) =>
        now?.after === talk.after ? join(now, page) : now,
      );
      setFailed(null);
    } catch (error) {
      setFailed(error);
    } finally {
      busy.current = false;
    }
  }, [client, id]);
  return { more, failed };
}

/** A turn that the first page cut is read on: what is copied or decoded of it is more than seen. */
function useWhole(talk: Talk | undefined, more: () => Promise<void>): void {
  const cut = talk?.pages === 1 && talk.turns.at(-1)?.continues === true;
  useEffect(() => {
    if (!cut) return;
    const timer = setTimeout(() => void more(), IDLE_MS);
    return () => clearTimeout(timer);
  }, [cut, more]);
}

function talkOf(client: QueryClient, id: string): Talk | undefined {
  return client.getQueryData<Talk>(keys.conversation(id, MODE));
}

function readPage(id: string, cursor: string, signal?: AbortSignal) {
  const page = cursor === NOTHING.after ? FIRST : { cursor, limit: TURNS };
  return request<Schemas["Conversation"]>(`/api/streams/${id}/conversation`, {
    params: { ...page, mode: MODE },
    ...(signal ? { signal } : {}),
  });
}
