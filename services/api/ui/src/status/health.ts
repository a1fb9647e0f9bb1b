/** What is said of `/api/health`: its troubles as sentences, and shares. */

import type { Health, Schemas } from "../api/client";

export type SourceHealth = Schemas["Source"];
export type ShardHealth = Schemas["Shard"];

/** What is wrong right now, a sentence each. */
export function troublesOf(health: Health): string[] {
  const failed = health.sources.filter((source) => source.status === "failed");
  const short = health.sources.filter(({ status, trouble }) => trouble && status !== "failed");
  const found = [
    ...health.troubles,
    ...failed.map(sentenceOfFailed),
    ...short.map(sentenceOfShort),
  ];
  if (found.length === 0 && health.status !== "ok")
    return [`the run is ${health.status}; the log of the coordinator says why`];
  return found;
}

export function sentenceOfFailed({ name, problems }: SourceHealth): string {
  return `${name} could not be read: ${problems[0]?.reason ?? "no reason was given"}`;
}

function sentenceOfShort({ name, trouble }: SourceHealth): string {
  return `${name}: ${trouble}`;
}

/** Packets that were sent to a source and that it did not get. */
export function droppedBy({ dropped_kernel, dropped_interface }: SourceHealth): number {
  return dropped_kernel + dropped_interface;
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

/** Whether captured packets are kept, as `--packet-ring` has it. */
export function hasRing(budgets: Health["budgets"]): boolean {
  return (budgets["packet_ring_bytes_max"] ?? 0) > 0;
}
