/** The status bar's items: a number, what it means, and whether it is trouble. */

import type { Health, Pattern } from "../api/client";
import { formatBytes, formatCount, formatShort } from "../format/numbers";
import { formatSums, sumsOf } from "./drops";
import { formatShare, sentenceOfFailed, shareOf, troublesOf, type SourceHealth } from "./health";

export interface Figure {
  id: string;
  text: string;
  /** A sentence. */
  means: string;
  trouble: boolean;
}

/** All of them, in the order of the bar. */
export function figuresOf(health: Health, patterns: readonly Pattern[]): Figure[] {
  return [
    runFigure(health),
    inFigure(health),
    dropFigure(health),
    gapFigure(health),
    damageFigure(health),
    fileFigure(health),
    lagFigure(health),
    queueFigure(health),
    contentFigure(health),
    shardFigure(health),
    patternFigure(patterns),
    onlineFigure(health),
  ].filter((figure) => figure !== null);
}

function figure(id: string, text: string, means: string, trouble = false): Figure {
  return { id, text, means, trouble };
}

function runFigure(health: Health): Figure {
  const [first, ...more] = troublesOf(health);
  if (first !== undefined && health.run_status !== "failed") {
    const rest = more.length > 0 ? `, and ${more.length} more` : "";
    return figure(
      "run",
      `${health.run_status}, ${health.status}: ${first}${rest}`,
      "Trouble.",
      true,
    );
  }
  switch (health.run_status) {
    case "waiting":
      return figure("run", "waiting for a source", "Nothing was read yet.");
    case "running":
      return figure("run", "running", "Packets are read and analysed.");
    case "completed":
      return figure("run", "completed", "All sources were read to their end.");
    case "failed": {
      const failed = health.sources.find((source) => source.status === "failed");
      const why = failed ? sentenceOfFailed(failed) : (first ?? "no source could be read");
      return figure("run", `failed: ${why}`, "Nothing could be analysed.", true);
    }
  }
}

function inFigure({ run_status, rates, totals }: Health): Figure {
  const packets = formatCount(totals["packets"] ?? 0);
  const means = `${packets} packets, ${formatBytes(totals["bytes"] ?? 0)} were read so far.`;
  const running = run_status === "running";
  const text = running ? `in ${formatShort(rates["packets_per_s"] ?? 0)} pps` : `in ${packets}`;
  return figure("in", text, running ? `Packets each second. ${means}` : means);
}

function dropFigure({ drops }: Health): Figure {
  const lost = formatSums(sumsOf(drops, true));
  const aside = formatSums(sumsOf(drops, false));
  const more = aside ? ` Left aside on purpose: ${aside}.` : "";
  if (!lost) return figure("drop", "drop 0", `Nothing was lost.${more}`);
  return figure("drop", `drop ${lost}`, `This was lost.${more}`, true);
}

/** Missing inside of streams: it was on the wire, and is not in the capture. */
function gapFigure({ totals }: Health): Figure | null {
  const { gaps, gap_bytes: octets } = { gaps: 0, gap_bytes: 0, ...totals };
  if (gaps === 0) return null;
  const text = `gaps ${formatShort(gaps)} · ${formatBytes(octets)}`;
  return figure("gaps", text, "Bytes of streams that were sent and never captured.", true);
}

/** Of files: what is broken in them. */
function damageFigure({ sources }: Health): Figure | null {
  const damaged = sources.reduce((sum, source) => sum + source.damaged, 0);
  if (damaged === 0) return null;
  const means = "Places in the sources that could not be read.";
  return figure("damage", `damaged ${formatShort(damaged)}`, means, true);
}

/** Captures of watched folders. */
function fileFigure({ ledger }: Health): Figure | null {
  const states = Object.entries(ledger.states).filter(([, count]) => count > 0);
  if (states.length === 0) return null;
  const all = states.reduce((sum, [, count]) => sum + count, 0);
  const rejected = ledger.states["rejected"] ?? 0;
  const text = `files ${formatShort(all)}${rejected > 0 ? `, ${formatShort(rejected)} rejected` : ""}`;
  const means = states.map(([state, count]) => `${formatCount(count)} ${state}`).join(", ");
  return figure("files", text, `Captures that came one by one: ${means}.`, rejected > 0);
}

const LAG_TROUBLE_MS = 5000;

function lagFigure({ queues, run_status, sources }: Health): Figure | null {
  if (run_status === "running" && sources.some(({ kind }) => kind === "live")) {
    const lag_ms = queues["lag_ms"] ?? 0;
    const text = `lag ${(lag_ms / 1000).toFixed(1)} s`;
    return figure("lag", text, "How late packets were read, at most.", lag_ms > LAG_TROUBLE_MS);
  }
  const share = readShare(sources);
  if (share === null || run_status === "waiting") return null;
  return figure("lag", `read ${formatShare(share)}`, "How much of the files has been read.");
}

/** How much of what can be read and has a known size was read. */
export function readShare(sources: readonly SourceHealth[]): number | null {
  const sized = sources.filter(({ size, status }) => size > 0 && status !== "failed");
  const sum = (of: (source: SourceHealth) => number) => sized.reduce((all, s) => all + of(s), 0);
  return shareOf(
    sum((source) => source.position),
    sum((source) => source.size),
  );
}

const QUEUE_TROUBLE = 0.8;

function queueFigure({ queues }: Health): Figure {
  const share = shareOf(queues["output_bytes"], queues["output_bytes_max"]) ?? 0;
  const rows = formatCount(queues["shard_rows"] ?? 0);
  const held = formatCount(queues["capture_backpressure_ms"] ?? 0);
  return figure(
    "queues",
    `queues ${formatShare(share)}`,
    `The output's queue. ${rows} packets wait for shards; reading was held back for ${held} ms.`,
    share >= QUEUE_TROUBLE,
  );
}

function contentFigure({ budgets }: Health): Figure {
  const most = budgets["content_bytes_max"] ?? 0;
  const share = shareOf(budgets["content_bytes"], most);
  if (share === null) return figure("content", "content off", "No content of streams is retained.");
  const full = share > 0.97 ? " Full: the oldest content makes room for new." : "";
  return figure(
    "content",
    `content ${formatShare(share)} of ${formatBytes(most)}`,
    `Content of streams that is retained, of its budget.${full}`,
  );
}

function shardFigure({ shards }: Health): Figure {
  const well = shards.filter(({ state }) => state === "ready" || state === "ended").length;
  const lost = shards.filter(({ state }) => state === "lost").length;
  const means = lost > 0 ? `${lost} not heard: their content is out of reach.` : "All are heard.";
  return figure("shards", `shards ${well}/${shards.length}`, means, lost > 0);
}

/** Patterns that do not find everything they should. */
export function limited(patterns: readonly Pattern[]): Pattern[] {
  return patterns.filter(
    ({ enabled, status }) =>
      enabled &&
      (status.over_limit > 0 ||
        status.timeouts > 0 ||
        status.skipped > 0 ||
        status.state === "slow" ||
        status.state === "failed"),
  );
}

function patternFigure(patterns: readonly Pattern[]): Figure {
  const on = patterns.filter((pattern) => pattern.enabled);
  const bad = limited(patterns);
  if (bad.length === 0)
    return figure(
      "patterns",
      `patterns ${on.length}`,
      "Patterns that are looked for; none capped.",
    );
  const names = bad.slice(0, 3).map((pattern) => pattern.name);
  return figure(
    "patterns",
    `patterns ${bad.length} of ${on.length} capped`,
    `These do not show all that there is: ${names.join(", ")}${bad.length > 3 ? ", …" : ""}.`,
    true,
  );
}

function onlineFigure({ clients }: Health): Figure {
  return figure("online", `${formatCount(clients)} online`, "People who look at this run now.");
}
