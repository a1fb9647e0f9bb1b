/** The messages of a stream, a page at a time. */

import { useInfiniteQuery } from "@tanstack/react-query";
import { useMemo } from "react";

import { request, type Schemas } from "../../api/client";
import { keys } from "../../api/keys";

export type Message = Schemas["Message"];

const PAGE = 256;

export function useMessages(id: string, enabled: boolean) {
  const query = useInfiniteQuery({
    queryKey: keys.messages(id),
    queryFn: ({ pageParam, signal }) =>
      request<Schemas["StreamMessages"]>(`/api/streams/${id}/messages`, {
        params: { cursor: pageParam, limit: PAGE },
        signal,
      }),
    initialPageParam: 0,
    getNextPageParam: (page) => page.next_cursor,
    enabled,
  });
  const { data } = query;
  const messages = useMemo(() => data?.pages.flatMap((page) => page.messages) ?? [], [data]);
  return { ...query, messages, total: data?.pages.at(-1)?.total ?? 0 };
}

/** Codings of a message's body, in the order in which they come off. */
export function codingsOf(message: Message): string[] {
  const { transfer_encoding, content_encoding } = message.detail;
  return [listed(transfer_encoding), listed(content_encoding)].flat();
}

function listed(value: unknown): string[] {
  if (typeof value !== "string") return [];
  return value
    .split(",")
    .map((name) => name.trim().toLowerCase().slice(0, 20))
    .filter((name) => name !== "" && name !== "identity")
    .reverse()
    .slice(0, 8);
}
