/** Whether the capture can be trusted, in full: what was read, what was lost, and why. */

import { useQuery } from "@tanstack/react-query";

import type { Health } from "../../api/client";
import { useLive } from "../../api/LiveProvider";
import { healthQuery } from "../../api/queries";
import { formatCount } from "../../format/numbers";
import { visibleLine } from "../../format/visible";
import { sentenceOf } from "../../notices/NoticeProvider";
import { formatAmount, formatSums, sumsOf } from "../../status/drops";
import { readShare } from "../../status/figures";
import { formatShare, troublesOf } from "../../status/health";
import { Bounds } from "./Bounds";
import { Captures } from "./Captures";
import { Drops } from "./Drops";
import { Files } from "./Files";
import { Shards } from "./Shards";
import { Sources } from "./Sources";
import "./status.css";

export function StatusPanel() {
  const { data: health, error } = useQuery(healthQuery());
  const { connected } = useLive();
  if (!health)
    return <p className="empty">{error ? visibleLine(sentenceOf(error)) : "asking the server"}</p>;
  return (
    <>
      <Verdict health={health} connected={connected} />
      <Captures sources={health.sources} />
      <Sources sources={health.sources} />
      <Files ledger={health.ledger} />
      <Drops drops={health.drops} totals={health.totals} />
      <Shards shards={health.shards} />
      <Bounds health={health} />
    </>
  );
}

/** The answer to the question in the title. */
function Verdict({ health, connected }: { health: Health; connected: boolean }) {
  const troubles = troublesOf(health);
  const lost = formatSums(sumsOf(health.drops, true));
  if (lost) troubles.push(`lost: ${lost}; the reasons are below`);
  const { gaps, gap_bytes: missing } = { gaps: 0, gap_bytes: 0, ...health.totals };
  if (gaps > 0)
    troubles.push(
      `${formatAmount(missing, "bytes")} of streams were never captured, in ` +
        `${formatCount(gaps)} ${gaps === 1 ? "gap" : "gaps"}`,
    );
  const damaged = health.sources.reduce((sum, source) => sum + source.damaged, 0);
  if (damaged > 0) troubles.push(`${formatCount(damaged)} places of sources could not be read`);
  if (!connected) troubles.unshift("not connected: these are the last numbers that were heard");
  return (
    <section className="section verdict" aria-live="polite">
      <p>
        <strong>{troubles.length === 0 ? "Yes." : "Not all of it."}</strong> {completeness(health)}
      </p>
      {troubles.map((text) => (
        <p key={text} className="warning">
          ⚠ {visibleLine(text)}
        </p>
      ))}
    </section>
  );
}

function completeness({ run_status, sources }: Health): string {
  const share = readShare(sources);
  switch (run_status) {
    case "waiting":
      return "Nothing was read yet.";
    case "running":
      return share === null ? "It is being read." : `Read so far: ${formatShare(share)}.`;
    case "completed":
      return "All sources were read to their end.";
    case "failed":
      return "No source could be read.";
  }
}
