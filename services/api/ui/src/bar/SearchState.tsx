/** How far a search of content is. */

import { formatCount } from "../format/numbers";
import { visibleLine } from "../format/visible";
import { cancelSearch, type SearchProgress } from "../view/contentSearch";

interface Props {
  id: string;
  progress: SearchProgress | undefined;
  /** The server does not know it any more. */
  lost: boolean;
  drop: () => void;
}

export function SearchState({ id, progress, lost, drop }: Props) {
  if (id === "") return null;
  const running = !lost && progress?.done !== true;
  return (
    <span className="search-state">
      <span
        role="status"
        title={progress?.trouble.map(visibleLine).join("\n")}
        data-trouble={isTroubled(progress, lost)}
      >
        {wordsOf(progress, lost)}
      </span>{" "}
      {running && (
        <button type="button" className="plain link" onClick={() => void cancelSearch(id)}>
          stop
        </button>
      )}{" "}
      <button
        type="button"
        className="plain link"
        aria-label="drop the content search"
        onClick={drop}
      >
        ×
      </button>
    </span>
  );
}

function isTroubled(progress: SearchProgress | undefined, lost: boolean): boolean {
  return lost || (progress?.trouble.length ?? 0) > 0;
}

function wordsOf(progress: SearchProgress | undefined, lost: boolean): string {
  if (lost) return "the search is forgotten";
  if (progress === undefined) return "searching …";
  const hits = `${formatCount(progress.hits)} ${progress.hits === 1 ? "hit" : "hits"}`;
  const trouble = progress.trouble.length > 0 ? " · ⚠ not everywhere" : "";
  if (progress.cancelled) return `stopped · ${hits}${trouble}`;
  if (!progress.done) return `searching ${Math.floor(progress.part * 100)} % · ${hits}${trouble}`;
  return `content: ${hits}${progress.capped ? ", capped" : ""}${trouble}`;
}
