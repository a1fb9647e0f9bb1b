/** `/api/health` as it is: its description leaves the parts open, here they are named. */

import type { Health } from "../api/client";

export interface SourceHealth {
  name: string;
  kind: string;
  status: "waiting" | "reading" | "done" | "failed";
  packets: number;
  bytes: number;
  /** Bytes of input taken so far, as stored; size 0 = not known. */
  position: number;
  size: number;
  damaged: number;
  /** Why it waits, or what it lacks now. */
  trouble?: string;
  /** Packets that a live source could not be given. */
  dropped_kernel?: number;
  dropped_interface?: number;
  /** 0 = never. */
  last_drop_us?: number;
  problems: { offset: number; reason: string }[];
}

export interface ShardHealth {
  index: number;
  state: "starting" | "ready" | "ended" | "lost";
  pid: number;
  host: string;
  age_ms: number;
  restarts: number;
  events: number;
  messages_lost: number;
  orphaned_streams: number;
  stats: Record<string, number>;
}

/** A capture of a watched folder, or one that was uploaded. */
export interface LedgerFile {
  id: string;
  /** The watched folder, or `uploads`. */
  source: string;
  name: string;
  state: "waiting" | "reading" | "done" | "rejected" | "gone";
  /** Why it waits, was rejected, or was not read to its end. */
  reason: string;
  size: number;
  /** Bytes read. */
  offset: number;
  packets: number;
  damaged: number;
  changed_us: number;
}

/** Captures that come one by one: the newest, sums of the others, how many are in each state. */
export interface Ledger {
  files: LedgerFile[];
  older: Record<string, number>;
  states: Record<string, number>;
}

export interface HealthDocument {
  status: Health["status"];
  run_status: Health["run_status"];
  latest_cursor: number;
  sources: SourceHealth[];
  /** Not told by a server that watches no folders. */
  ledger?: Ledger;
  shards: ShardHealth[];
  totals: Record<string, number>;
  rates: Record<string, number>;
  drops: Record<string, number>;
  queues: Record<string, number>;
  budgets: Record<string, number>;
  /** People who look on; not told by every version. */
  clients?: number;
  /** How far analysis is behind a live source; not told where there is none. */
  lag_ms?: number;
  /** Packet time up to which everything was analysed; not told by every version. */
  complete_up_to_us?: number;
  /** What is wrong right now, a sentence each; not told by every version. */
  troubles?: string[];
}

/** What is wrong right now, a sentence each. */
export function troublesOf(health: HealthDocument): string[] {
  const lost = health.shards.filter((shard) => shard.state === "lost");
  const told = health.troubles ?? lost.map(sentenceOfLost);
  const failed = health.sources.filter((source) => source.status === "failed");
  const short = health.sources.filter(({ status, trouble }) => trouble && status !== "failed");
  const found = [...told, ...failed.map(sentenceOfFailed), ...short.map(sentenceOfShort)];
  if (found.length === 0 && health.status !== "ok")
    return [`the run is ${health.status}; the log of the coordinator says why`];
  return found;
}

function sentenceOfLost({ index, pid, host }: ShardHealth): string {
  const who = pid ? `shard ${index} (pid ${pid} on ${host})` : `shard ${index}`;
  return `${who} is not heard; the content that it retains is out of reach`;
}

export function sentenceOfFailed({ name, problems }: SourceHealth): string {
  return `${name} could not be read: ${problems[0]?.reason ?? "no reason was given"}`;
}

function sentenceOfShort({ name, trouble }: SourceHealth): string {
  return `${name}: ${trouble ?? ""}`;
}

/** Packets that were sent to a source and that it did not get. */
export function droppedBy({ dropped_kernel, dropped_interface }: SourceHealth): number {
  return (dropped_kernel ?? 0) + (dropped_interface ?? 0);
}

/** From 0 to 1, or null when there is no bound. */
export function shareOf(used: number | undefined, most: number | undefined): number | null {
  return used === undefined || !most ? null : Math.min(1, Math.max(0, used / most));
}

/** 0.6149 -> "61 %"; what is there at all is not 0, what is not full is not 100. */
export function formatShare(share: number): string {
  const percent = Math.round(share * 100);
  if (percent === 0 && share > 0) return "< 1 %";
  return percent === 100 && share < 1 ? "99 %" : `${percent} %`;
}
