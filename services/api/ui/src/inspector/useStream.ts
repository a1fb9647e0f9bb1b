/** The row of the stream that is looked into; what the list knows of it is there at once. */

import { useQuery, useQueryClient, type QueryClient } from "@tanstack/react-query";

import { request, type StreamDetail } from "../api/client";
import { keys } from "../api/keys";
import { findStream } from "../actions/cached";

/** What a list knows of a stream. */
type Listed = Omit<StreamDetail, Later>;
/** What is known only once the stream was asked for. */
type Later = "directions" | "content" | "content_note";
export type Row = Listed & Partial<Pick<StreamDetail, Later>>;

export function useStream(id: string) {
  const client = useQueryClient();
  return useQuery<Row>({
    queryKey: keys.stream(id),
    queryFn: ({ signal }) => request<StreamDetail>(`/api/streams/${id}`, { signal }),
    placeholderData: () => listed(client, id),
  });
}

function listed(client: QueryClient, id: string): Row | undefined {
  for (const [, data] of client.getQueriesData({ queryKey: keys.streams })) {
    const found = findStream(data, id);
    if (found) return found;
  }
  return undefined;
}
