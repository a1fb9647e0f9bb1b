/** Queues and budgets: what is bounded, how full it is, and what happens at the bound. */

import type { Health } from "../../api/client";
import { formatBytes, formatCount, formatDuration } from "../../format/numbers";
import { formatShare, hasRing, shareOf } from "../../status/health";
import { ShareBar } from "../ShareBar";

interface Bound {
  name: string;
  used: number;
  /** undefined = there is none. */
  most: number | undefined;
  show: (value: number) => string;
  means: string;
}

export function Bounds({ health }: { health: Health }) {
  return (
    <section className="section">
      <h3>Queues and budgets</h3>
      <table className="table">
        <tbody>
          {boundsOf(health).map(({ name, used, most, show, means }) => {
            const share = shareOf(used, most);
            return (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>{share !== null && <ShareBar share={share} trouble={share > 0.97} />}</td>
                <td className="number">{share === null ? "" : formatShare(share)}</td>
                <td className="number">{most ? `${show(used)} of ${show(most)}` : show(used)}</td>
                <td className="muted">{means}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}

function ringBound(budgets: Health["budgets"]): Bound {
  return {
    name: "packet ring",
    used: budgets["packet_ring_bytes"] ?? 0,
    most: budgets["packet_ring_bytes_max"],
    show: formatBytes,
    means: "captured packets on disk; when full, the oldest go (--packet-ring-bytes)",
  };
}

function boundsOf({ queues, budgets, clients }: Health): Bound[] {
  return [
    {
      name: "content",
      used: budgets["content_bytes"] ?? 0,
      most: budgets["content_bytes_max"],
      show: formatBytes,
      means:
        "bytes of streams that are retained; when full, the oldest go (--max-stream-content-bytes)",
    },
    ...(hasRing(budgets) ? [ringBound(budgets)] : []),
    {
      name: "streams",
      used: budgets["streams"] ?? 0,
      most: budgets["streams_max"],
      show: formatCount,
      means: "in the inventory; when full, the oldest leave it, favourites last (--max-streams)",
    },
    {
      name: "flows",
      used: budgets["flows"] ?? 0,
      most: budgets["flows_max"],
      show: formatCount,
      means: "tracked at once; when full, idle ones are closed early (--max-flows)",
    },
    {
      name: "output queue",
      used: queues["output_bytes"] ?? 0,
      most: queues["output_bytes_max"],
      show: formatBytes,
      means: "events on their way to the output",
    },
    {
      name: "shard queues",
      used: queues["shard_rows"] ?? 0,
      most: undefined,
      show: (rows) => `${formatCount(rows)} packets`,
      means: "on their way to shards; when full, reading waits, so that nothing is lost",
    },
    {
      name: "reading waited",
      used: queues["capture_backpressure_ms"] ?? 0,
      most: undefined,
      show: (ms) => formatDuration(ms * 1000),
      means: "for full queues, since the start",
    },
    {
      name: "online",
      used: clients,
      most: undefined,
      show: formatCount,
      means: "people who look at this run now",
    },
  ];
}
