/** What is read, and how that goes. */

import { useQuery } from "@tanstack/react-query";

import type { Health } from "../api/client";
import { healthQuery } from "../api/queries";
import { run } from "../keys/useCommands";
import { visibleLine } from "../format/visible";
import type { SourceHealth } from "../status/health";

const NAME_MAX = 40;
const STATES = {
  waiting: ["○", "waiting"],
  running: ["●", "live"],
  completed: ["✓", "completed"],
  failed: ["✕", "failed"],
} as const;

export function Sources() {
  const health = useQuery(healthQuery()).data;
  if (health === undefined) return <span className="sources muted">…</span>;
  const [glyph, word] = STATES[health.run_status];
  return (
    <button
      type="button"
      className="plain sources"
      title={health.sources.map(describe).join("\n") || "no source yet"}
      onClick={() => run("panel.status")}
    >
      <bdi>{nameOf(health)}</bdi>{" "}
      <span className="run" data-run={health.run_status}>
        {glyph} {word}
      </span>
      <Failures health={health} />
    </button>
  );
}

function Failures({ health }: { health: Health }) {
  const failed = health.sources.filter((source) => source.status === "failed").length;
  if (failed === 0 || health.run_status === "failed") return null;
  return <span className="warning"> {failed} failed</span>;
}

function nameOf({ sources }: Health): string {
  if (sources.length === 0) return "no source";
  if (sources.length > 1) return `${sources.length} sources`;
  const name = sources[0]?.name ?? "";
  const short = name.slice(name.lastIndexOf("/") + 1) || name;
  return visibleLine(short.slice(0, NAME_MAX));
}

function describe(source: SourceHealth): string {
  return `${visibleLine(source.name)}: ${source.status}`;
}
