/** What people do to a stream, for everybody: shown at once, taken back when the server refuses. */

import { useQueryClient } from "@tanstack/react-query";
import { useCallback } from "react";

import { request, type Schemas, type Stream } from "../api/client";
import { keys } from "../api/keys";
import { changeRow } from "../list/blocks";
import { sentenceOf, useSay } from "../notices/NoticeProvider";

export type Notes = Partial<Schemas["StreamNotes"]>;

export function useStreamActions() {
  const client = useQueryClient();
  const say = useSay();
  const annotate = useCallback(
    async (id: string, notes: Notes): Promise<boolean> => {
      changeRow(client, id, notes);
      try {
        await request<Stream>(`/api/streams/${id}`, { method: "PATCH", json: notes });
        return true;
      } catch (error) {
        say(sentenceOf(error), { trouble: true });
        void client.invalidateQueries({ queryKey: keys.streams });
        void client.invalidateQueries({ queryKey: keys.stream(id) });
        return false;
      }
    },
    [client, say],
  );
  const toggleFavorite = useCallback(
    (stream: Pick<Stream, "stream_id_hex" | "favorite">) =>
      annotate(stream.stream_id_hex, { favorite: !stream.favorite }),
    [annotate],
  );
  return { annotate, toggleFavorite };
}
