/** A change that everybody sees: sent, and what it touched read again. */

import { useMutation, useQueryClient } from "@tanstack/react-query";

import { sentenceOf, useSay } from "../notices/NoticeProvider";
import { request, type RequestOptions } from "./client";

export interface TeamChange {
  method: NonNullable<RequestOptions["method"]>;
  path: string;
  json?: unknown;
  /** Said when it is done. */
  done?: string;
}

/** touches: the list that the change is in. quiet: its errors are shown where it is made. */
export function useTeamChange(touches: readonly unknown[], { quiet = false } = {}) {
  const client = useQueryClient();
  const say = useSay();
  return useMutation({
    mutationFn: ({ method, path, json }: TeamChange) => request(path, { method, json }),
    onSuccess: (_, { done }) => {
      if (done) say(done);
      return client.invalidateQueries({ queryKey: touches });
    },
    onError: (error) => {
      if (!quiet) say(sentenceOf(error), { trouble: true });
    },
  });
}
