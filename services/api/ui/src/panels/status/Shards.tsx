/** The processes that analyse: who is there, and what each holds. */

import { formatBytes, formatCount, formatDuration } from "../../format/numbers";
import { visibleLine } from "../../format/visible";
import type { ShardHealth } from "../../status/health";

export function Shards({ shards }: { shards: readonly ShardHealth[] }) {
  const tellsMemory = shards.some(({ stats }) => MEMORY in stats);
  return (
    <section className="section">
      <h3>Shards</h3>
      <table className="table">
        <thead>
          <tr>
            <th scope="col">shard</th>
            <th scope="col">state</th>
            <th scope="col">pid on host</th>
            <th scope="col" className="number">
              heard
            </th>
            {tellsMemory && (
              <th scope="col" className="number">
                memory
              </th>
            )}
            <th scope="col" className="number">
              packets
            </th>
            <th scope="col" className="number">
              content kept
            </th>
            <th scope="col" className="number">
              flows
            </th>
            <th scope="col" className="number">
              held, out of order
            </th>
            <th scope="col" className="number">
              parser errors
            </th>
            <th scope="col" className="number">
              restarts
            </th>
          </tr>
        </thead>
        <tbody>
          {shards.map((shard) => (
            <ShardRow key={shard.index} shard={shard} tellsMemory={tellsMemory} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

function ShardRow({ shard, tellsMemory }: { shard: ShardHealth; tellsMemory: boolean }) {
  const { index, state, pid, host, age_ms, restarts, stats } = shard;
  const of = (name: string) => stats[name] ?? 0;
  return (
    <tr>
      <td>{index}</td>
      <td className={state === "lost" ? "warning" : ""}>{STATES[state]}</td>
      <td>{pid ? visibleLine(`${pid} on ${host}`) : "not there yet"}</td>
      <td className="number">{`${formatDuration(age_ms * 1000)} ago`}</td>
      {tellsMemory && <td className="number">{formatBytes(of(MEMORY))}</td>}
      <td className="number">{formatCount(of("packets"))}</td>
      <td className="number">
        {`${formatBytes(of("content_used_bytes"))} of ${formatBytes(of("content_budget_bytes"))}`}
      </td>
      <td className="number">{formatCount(of("flow_rows"))}</td>
      <td className="number">{formatCount(of("held_segments"))}</td>
      <td className="number">{formatCount(of("parser_errors"))}</td>
      <td className={restarts > 0 ? "number warning" : "number"}>{restarts}</td>
    </tr>
  );
}

const MEMORY = "rss_bytes"; // not told by every version
const STATES: Record<ShardHealth["state"], string> = {
  starting: "starting",
  ready: "ready",
  ended: "ready: all is analysed",
  lost: "⚠ not heard: its content is out of reach",
};
