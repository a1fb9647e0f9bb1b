/** What the list says when it has no rows to show: nothing yet, nothing that passes, or why not. */

import { useQuery } from "@tanstack/react-query";

import type { Health } from "../api/client";
import { healthQuery } from "../api/queries";
import { visibleLine } from "../format/visible";
import { sentenceOf } from "../notices/NoticeProvider";
import { sentenceOfFailed } from "../status/health";
import type { Filter } from "../view/filter";
import { useViewOf } from "../view/useView";
import { searchBegun } from "../view/contentSearch";
import type { Listed } from "./blocks";
import { NoHits } from "./NoHits";
import type { Rows } from "./useRows";

interface Props {
  rows: Rows;
  filter: Filter;
  ready: boolean;
  listed: Listed;
}

export function ListState({ rows, filter, ready, listed }: Props) {
  const [q, search] = [useViewOf("q"), useViewOf("search")];
  const health = useQuery(healthQuery()).data;
  const begun = useQuery({ ...searchBegun(filter), enabled: false });
  const filtered = q.trim() !== "" || search !== "";
  if (rows.counts === null) {
    const error = begun.error ?? rows.error;
    if (error !== null && filter.data !== null && error === begun.error)
      return <Trouble text={`the content cannot be searched: ${sentenceOf(error)}`} />;
    if (error !== null) return <Trouble text={sentenceOf(error)} again={rows.again} />;
    return <p className="state slow">{ready ? "loading streams …" : "searching content …"}</p>;
  }
  if (rows.count > 0) return null;
  if (health?.run_status === "failed") return <Failed health={health} />;
  if (health?.run_status === "waiting" && !filtered) return <NoSource />;
  if (filtered || rows.counts.hidden > 0)
    return <NoHits listed={listed} hidden={rows.counts.hidden} />;
  return (
    <p className="state">
      {health?.run_status === "completed"
        ? "The sources have no streams."
        : "Reading. No streams yet."}
    </p>
  );
}

function Trouble({ text, again }: { text: string; again?: () => void }) {
  return (
    <div className="state" role="alert">
      <p className="warning">{text}</p>
      {again && (
        <button type="button" onClick={again}>
          try again
        </button>
      )}
    </div>
  );
}

function NoSource() {
  const upload = `curl --data-binary @capture.pcap '${window.location.origin}/api/captures?name=capture.pcap'`;
  return (
    <div className="state">
      <h2>No source yet</h2>
      <p>Start a run with a capture:</p>
      <pre className="mono">flowmate --pcap capture.pcap --api-listen {window.location.host}</pre>
      <p>or send one to this run:</p>
      <pre className="mono">{upload}</pre>
      <p className="muted">Streams appear here while it is read.</p>
    </div>
  );
}

function Failed({ health }: { health: Health }) {
  return (
    <div className="state" role="alert">
      <h2 className="warning">The run failed</h2>
      <ul>
        {health.sources.map((source) => (
          <li key={source.name}>
            <bdi className="mono">{visibleLine(sentenceOfFailed(source))}</bdi>
          </li>
        ))}
      </ul>
    </div>
  );
}
