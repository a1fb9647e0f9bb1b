/** The bar on top: what is read, what is looked for, whether the page goes along. */

import { useCommands, run } from "../keys/useCommands";
import { withTerm } from "../view/filter";
import { toggleTerm } from "../view/terms";
import { useFilter } from "../view/useFilter";
import { currentView, go } from "../view/useView";
import { FilterBox } from "./FilterBox";
import { FlowMenu } from "./FlowMenu";
import { SearchState } from "./SearchState";
import { Sources } from "./Sources";
import { useContentSearch } from "./useContentSearch";
import "./bar.css";

export function Bar() {
  const theFilter = useFilter();
  const search = useContentSearch(theFilter);
  useCommands({
    "filter.clear": () => go({ q: "", search: "" }),
    "filter.matched": () => go({ q: toggleTerm(currentView().q, "matched", "yes") }),
  });
  return (
    <header className="bar" aria-label="Sources and filter">
      <h1>flowmate</h1>
      <Sources />
      <FilterBox filter={theFilter.filter} refusal={search.begun?.error ?? null} />
      <SearchState
        id={search.search}
        progress={search.progress.data}
        lost={search.progress.error !== null}
        drop={() => go({ search: "", q: withTerm(currentView().q, "data", null) })}
      />
      <FlowMenu />
      <button type="button" title="keys (?)" aria-label="keys" onClick={() => run("page.help")}>
        ?
      </button>
    </header>
  );
}
