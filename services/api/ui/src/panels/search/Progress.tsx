/** How far a search is, and what it did not do. */

import { useMutation, useQueryClient } from "@tanstack/react-query";

import { request } from "../../api/client";
import { keys } from "../../api/keys";
import { formatBytes, formatCount } from "../../format/numbers";
import { visibleLine } from "../../format/visible";
import { sentenceOf } from "../../notices/NoticeProvider";
import { formatShare } from "../../status/health";
import { ShareBar } from "../ShareBar";
import { HITS_KEPT, progressOf, type Found } from "./found";

interface Props {
  id: string;
  found: Found | undefined;
  error: unknown;
  /** Look again, with the highest limit there is. */
  onMore: (() => void) | null;
}

export function Progress({ id, found, error, onMore }: Props) {
  const client = useQueryClient();
  const cancel = useMutation({
    mutationFn: () => request(`/api/search/${id}`, { method: "DELETE" }),
    onSettled: () => client.invalidateQueries({ queryKey: keys.search(id) }),
  });
  const running = found !== undefined && !found.done;
  return (
    <div className="search-progress">
      <div className="toolbar">
        <span role="status">{found ? summaryOf(found) : "searching"}</span>
        {found && (
          <span className="muted">
            <ShareBar share={progressOf(found)} />
            {`${formatShare(progressOf(found))} of ${formatBytes(found.progress.total_bytes)}`}
          </span>
        )}
        {running && (
          <button type="button" onClick={() => cancel.mutate()} disabled={cancel.isPending}>
            cancel
          </button>
        )}
        {found?.capped && onMore && (
          <button type="button" onClick={onMore}>
            look for up to 10,000
          </button>
        )}
      </div>
      {troublesOf(found, error).map((text) => (
        <p className="fault" key={text}>
          ⚠ {visibleLine(text)}
        </p>
      ))}
    </div>
  );
}

function summaryOf({ hits, done, cancelled }: Found): string {
  const streams = new Set(hits.map((hit) => hit.stream_id_hex)).size;
  const count = `${formatCount(hits.length)} hits in ${formatCount(streams)} streams`;
  if (cancelled) return `cancelled: ${count} so far`;
  return done ? count : `searching: ${count} so far`;
}

function troublesOf(found: Found | undefined, error: unknown): string[] {
  const said: string[] = [];
  if (found?.capped) said.push("Capped: a shard stopped at its limit of hits; there may be more.");
  if (found?.full) said.push(`Only the first ${formatCount(HITS_KEPT)} hits are listed.`);
  for (const missing of found?.missing ?? []) said.push(`Not searched: ${missing}.`);
  said.push(...(found?.trouble ?? []));
  if (error) said.push(sentenceOf(error));
  return [...new Set(said)];
}
