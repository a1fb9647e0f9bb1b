/** How a pattern fares, in words. */

import type { Pattern } from "../../api/client";
import { formatCount } from "../../format/numbers";
import { formatShare } from "../../status/health";

export interface PatternState {
  text: string;
  trouble: boolean;
  /** Of what was retained when it came; null when that is done or not begun. */
  progress: number | null;
  /** What it does not show, a few words each. */
  short: string[];
}

export function stateOf({ status }: Pattern): PatternState {
  const short: string[] = [];
  if (status.over_limit > 0) short.push(`${formatCount(status.over_limit)} over the cap, left out`);
  if (status.timeouts > 0)
    short.push(`${formatCount(status.timeouts)} streams given up: it was too slow`);
  if (status.skipped > 0) short.push(`${formatCount(status.skipped)} scans left out`);
  const scanning = status.state === "scanning";
  return {
    text: textOf(status),
    trouble: status.state === "slow" || status.state === "failed" || short.length > 0,
    progress: scanning ? status.progress : null,
    short,
  };
}

function textOf({ state, progress, trouble }: Pattern["status"]): string {
  switch (state) {
    case "pending":
      return "not taken up yet";
    case "scanning":
      return `${formatShare(progress)} of what is retained`;
    case "active":
      return "on";
    case "disabled":
      return "off";
    case "slow":
    case "failed":
      return trouble ? `${state}: ${trouble}` : state;
  }
}

/** As `pat:` in a filter takes it: the name where it is the only one of it. */
export function termOf(pattern: Pattern, all: readonly Pattern[]): string {
  const same = all.filter(({ id, name }) => name === pattern.name || String(id) === pattern.name);
  return same.length === 1 && pattern.name.trim() !== "" ? pattern.name : String(pattern.id);
}
