/** Has the filter's `data:` term searched, and the list follow the hits. Once, by the bar. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";

import { keys } from "../api/keys";
import { cancelSearch, searchBegun, searchProgress } from "../view/contentSearch";
import type { TheFilter } from "../view/useFilter";
import { currentView, go, useViewOf } from "../view/useView";

const AGAIN_MS = 10_000;

export function useContentSearch({ filter, understood }: TheFilter) {
  const client = useQueryClient();
  const search = useViewOf("search");
  const wanted = understood && filter.data !== null;
  const query = searchBegun(filter);

  // a link names its search: it is taken up, if the server still knows it
  const linked = useRef(search);
  useEffect(() => {
    if (!wanted || linked.current === "") return;
    const { queryKey } = searchBegun(filter);
    client.setQueryData(queryKey, { search_id: linked.current, missing: [] });
    linked.current = "";
  }, [wanted, filter, client]);

  const begun = useQuery({ ...query, enabled: wanted });
  const id = wanted ? begun.data?.search_id : undefined;
  useEffect(() => {
    if (id === undefined) return;
    if (currentView().search !== id) go({ search: id });
    return () => {
      if (currentView().search === id) go({ search: "" });
      cancelSearch(id).catch(() => undefined); // nobody waits for it any more
    };
  }, [id]);

  const progress = useQuery({ ...searchProgress(search), enabled: search !== "" });
  const forgotten = progress.error !== null;
  const begunAgain = useRef(0);
  useEffect(() => {
    if (!forgotten || id === undefined || id !== search) return;
    if (Date.now() - begunAgain.current < AGAIN_MS) return;
    begunAgain.current = Date.now();
    const { queryKey } = searchBegun(filter);
    void client.resetQueries({ queryKey, exact: true });
  }, [forgotten, id, search, filter, client]);

  const found = progress.data?.hits;
  const done = progress.data?.done;
  useEffect(() => {
    if (found === undefined) return;
    void client.invalidateQueries({ queryKey: keys.streams });
    void client.invalidateQueries({ queryKey: keys.overview });
  }, [found, done, client]);

  return { search, begun: wanted ? begun : null, progress };
}
