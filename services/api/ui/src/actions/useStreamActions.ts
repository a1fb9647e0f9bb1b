/**
 * What a team notes on streams. A change is shown at once, everywhere the stream is; when the
 * server refuses, what was there comes back, and a notice says why.
 */

import { useQueryClient, type QueryClient } from "@tanstack/react-query";
import { useMemo } from "react";

import { request, type Schemas, type Stream } from "../api/client";
import { keys } from "../api/keys";
import { sentenceOf, useSay } from "../notices/NoticeProvider";
import { withStream } from "./cached";

type Notes = Partial<Schemas["StreamNotes"]>;
/** A row, as much of it as a change is about. */
type Noted = Pick<Stream, "stream_id_hex">;
type Say = ReturnType<typeof useSay>;

export function useStreamActions() {
  const client = useQueryClient();
  const say = useSay();
  return useMemo(() => {
    const note = (stream: Noted, notes: Notes, done: string) =>
      annotate(client, say, stream, notes, done);
    return {
      toggleFavorite: (stream: Noted & Pick<Stream, "favorite">) =>
        note(
          stream,
          { favorite: !stream.favorite },
          stream.favorite ? "no longer a favourite" : "a favourite",
        ),
      toggleHidden: (stream: Noted & Pick<Stream, "hidden" | "hidden_reason">) =>
        note(stream, { hidden: !stream.hidden }, stream.hidden ? "shown again" : "hidden"),
      setComment: (stream: Noted & Pick<Stream, "comment">, comment: string) =>
        note(stream, { comment }, "comment kept"),
      setTags: (stream: Noted & Pick<Stream, "tags">, tags: string[]) =>
        note(stream, { tags }, "tags kept"),
    };
  }, [client, say]);
}

/** Never rejects: what goes wrong is said. */
export async function annotate(
  client: QueryClient,
  say: Say,
  stream: Noted,
  notes: Notes,
  done: string,
): Promise<void> {
  const id = stream.stream_id_hex;
  const shown: Partial<Stream> = { ...notes };
  if (notes.hidden !== undefined) shown.hidden_reason = notes.hidden ? "hidden by hand" : null;
  const before = Object.fromEntries(
    Object.entries(stream).filter(([name]) => Object.hasOwn(shown, name)),
  );
  await client.cancelQueries({ queryKey: keys.stream(id), exact: true });
  changeEverywhere(client, id, shown);
  try {
    const row = await request<Stream>(`/api/streams/${id}`, { method: "PATCH", json: notes });
    changeEverywhere(client, id, row);
    say(done);
  } catch (error) {
    changeEverywhere(client, id, before);
    say(`not ${done}: ${sentenceOf(error)}`, { trouble: true });
  }
}

/** In every list, and where the stream is looked into. */
function changeEverywhere(client: QueryClient, id: string, change: Partial<Stream>): void {
  client.setQueriesData({ queryKey: keys.streams }, (data: unknown) =>
    withStream(data, id, change),
  );
  client.setQueryData(keys.stream(id), (data: unknown) => withStream(data, id, change));
}
