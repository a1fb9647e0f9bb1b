/** Nothing passes the filter: what each of its terms keeps out, and what is hidden. */

import { useQueries } from "@tanstack/react-query";

import { request, type StreamPage } from "../api/client";
import { keys } from "../api/keys";
import { formatCount } from "../format/numbers";
import { parseFilter, splitTerms, withTerm } from "../view/filter";
import { dropTerm } from "../view/terms";
import { useFilterContext } from "../view/useFilter";
import { go, useViewOf } from "../view/useView";
import type { Listed } from "./blocks";

const TERMS_MAX = 12;

export function NoHits({ listed, hidden }: { listed: Listed; hidden: number }) {
  const [q, search] = [useViewOf("q"), useViewOf("search")];
  const context = useFilterContext(q);
  const terms = splitTerms(q).slice(0, TERMS_MAX);
  const without = terms.map((term, place) => {
    const text = dropTerm(q, place);
    const kept = term.key === "data" ? undefined : listed.params.search;
    return { text, params: { ...parseFilter(text, context).params, search: kept } };
  });
  const totals = useQueries({
    queries: without.map(({ params }) => ({
      queryKey: [...keys.streams, "total", params],
      queryFn: async ({ signal }: { signal: AbortSignal }) => {
        const asked = { ...params, limit: 1 };
        return (await request<StreamPage>("/api/streams", { params: asked, signal })).total;
      },
    })),
  });
  return (
    <div className="state">
      <h2>No stream passes the filter</h2>
      {terms.length > 0 && <p className="muted">How many do without one of its terms:</p>}
      <ul className="drops">
        {terms.map((term, place) => (
          <li key={place}>
            <button
              type="button"
              onClick={() =>
                go({
                  q: without[place]?.text ?? "",
                  search: term.key === "data" ? "" : search,
                })
              }
            >
              drop <bdi className="mono">{q.slice(term.start, term.end)}</bdi>
            </button>{" "}
            <span className="muted">{countText(totals[place]?.data)}</span>
          </li>
        ))}
      </ul>
      <p>
        {hidden > 0 && (
          <button type="button" onClick={() => go({ q: withTerm(q, "hidden", "yes") })}>
            show {formatCount(hidden)} hidden
          </button>
        )}{" "}
        {(terms.length > 0 || search !== "") && (
          <button type="button" onClick={() => go({ q: "", search: "" })}>
            clear the filter <kbd>0</kbd>
          </button>
        )}
      </p>
    </div>
  );
}

function countText(total: number | undefined): string {
  if (total === undefined) return "…";
  return total === 1 ? "1 stream" : `${formatCount(total)} streams`;
}
