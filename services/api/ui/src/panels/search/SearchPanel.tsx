/** Looking for something once, in all that is retained. */

import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import { request, type Schemas } from "../../api/client";
import { formatFind, parseFind, type Looked } from "../../view/find";
import { useFilter } from "../../view/useFilter";
import { go, useViewOf } from "../../view/useView";
import { Hits } from "./Hits";
import { Progress } from "./Progress";
import "./search.css";
import { SearchForm } from "./SearchForm";
import { isForgotten, useFound } from "./useFound";

const LIMIT = 1000; // hits of one shard
const LIMIT_MAX = 10_000;

export function SearchPanel() {
  const [search, find] = [useViewOf("search"), useViewOf("find")];
  const { filter } = useFilter();
  const found = useFound(search);
  const [everywhere, setEverywhere] = useState(false);
  const start = useMutation({
    mutationFn: (asked: Looked & { limit: number }) =>
      request<Schemas["SearchBegun"]>("/api/search", {
        method: "POST",
        json: { ...asked, filters: everywhere ? {} : filter.params },
      }),
    onSuccess: ({ search_id }, asked) => go({ search: search_id, find: formatFind(asked) }),
  });
  const looked = parseFind(find) ?? fromFilter(filter.data);
  const again = (limit: number) => looked && start.mutate({ ...looked, limit });
  const forgotten = search !== "" && isForgotten(found.error);
  return (
    <>
      <SearchForm
        key={find}
        looked={looked}
        filter={filter}
        everywhere={everywhere}
        onEverywhere={setEverywhere}
        busy={start.isPending}
        error={start.error}
        onStart={(asked) => start.mutate({ ...asked, limit: LIMIT })}
      />
      {forgotten && (
        <p className="toolbar warning" role="alert">
          The server does not know this search any more: nobody asked for its hits for a minute, or
          it was started again.
          {looked && (
            <button type="button" onClick={() => again(LIMIT)}>
              search again
            </button>
          )}
        </p>
      )}
      {search !== "" && (found.data !== undefined || !forgotten) && (
        <Progress
          id={search}
          found={found.data}
          error={forgotten ? null : found.error}
          onMore={looked ? () => again(LIMIT_MAX) : null}
        />
      )}
      {found.data && found.data.hits.length > 0 && (
        <Hits key={search} id={search} hits={found.data.hits} />
      )}
      {found.data?.done && found.data.hits.length === 0 && (
        <p className="empty">Nothing of it is in what is retained.</p>
      )}
    </>
  );
}

function fromFilter(data: { kind: Looked["kind"]; value: string } | null): Looked | null {
  return data && { direction: "any", ...data };
}
