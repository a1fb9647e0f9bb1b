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
type Say = ReturnType<typeof useSay>;

export function useStreamActions() {
  const client = useQueryClient();
  const say = useSay();
  return useMemo(() => {
    const note = (stream: Stream, notes: Notes, done: string) =>
      void annotate(client, say, stream, notes, done);
    return {
      toggleFavorite: (stream: Stream) =>
        note(
          stream,
          { favorite: !stream.favorite },
          stream.favorite ? "no longer a favourite" : "a favourite",
        ),
      toggleHidden: (stream: Stream) =>
        note(stream, { hidden: !stream.hidden }, stream.hidden ? "shown again" : "hidden"),
      setComment: (stream: Stream, comment: string) => note(stream, { comment }, "comment kept"),
      setTags: (stream: Stream, tags: string[]) => note(stream, { tags }, "tags kept"),
    };
  }, [client, say]);
}

async function annotate(
  client: QueryClient,
  say: Say,
  stream: Stream,
  notes: Notes,
  done: string,
): Promise<void> {
  const id = stream.stream_id_hex;
  const { favorite, hidden, hidden_reason, comment, tags } = stream;
  const given = Object.keys(notes);
  // hiding has a reason, which goes with it
  const before = Object.fromEntries(
    Object.entries({ favorite, hidden, comment, tags }).filter(([name]) => given.includes(name)),
  ) as Partial<Stream>;
  if (notes.hidden !== undefined) before.hidden_reason = hidden_reason;
  const shown: Partial<Stream> = { ...(notes as Partial<Stream>) };
  if (notes.hidden !== undefined) shown.hidden_reason = notes.hidden ? "hidden by hand" : null;
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

/** In every list, and where it is looked into. */
function changeEverywhere(client: QueryClient, id: string, change: Partial<Stream>): void {
  client.setQueriesData({ queryKey: keys.streams }, (data: unknown) =>
    withStream(data, id, change),
  );
  client.setQueryData(keys.stream(id), (data: unknown) => withStream(data, id, change));
}
