/** What was not analysed, kept or written: each reason in a sentence, and what it counts. */

import { formatBytes, formatCount } from "../format/numbers";

export type Unit = "packets" | "datagrams" | "bytes" | "streams" | "events" | "messages" | "lines";

export interface Reason {
  unit: Unit;
  /** It should have been analysed, or kept, and was not. Otherwise it is left aside on purpose, or
   * the oldest made room for the newest. */
  lost: boolean;
  means: string;
}

const LOST = true;
const ASIDE = false;

const REASONS: Record<string, readonly [Unit, boolean, string]> = {
  non_ip: ["packets", ASIDE, "neither IPv4 nor IPv6, such as ARP"],
  unsupported_transport: ["packets", ASIDE, "neither TCP, UDP nor ICMP"],
  unsupported_link: ["packets", LOST, "of a link type that is not understood"],
  truncated: ["packets", LOST, "cut off inside their headers: the snaplen of the capture is small"],
  malformed: ["packets", ASIDE, "headers that contradict themselves"],
  fragments_expired: ["datagrams", LOST, "fragments whose others did not come within 30 s"],
  fragments_evicted: ["datagrams", LOST, "fragments that had to make room for newer ones"],
  fragments_cut: ["packets", LOST, "fragments that were not captured whole"],
  fragments_malformed: ["packets", ASIDE, "fragments that are impossible"],
  flows_evicted: ["streams", LOST, "closed early to make room: raise --max-flows"],
  out_of_order_dropped: ["packets", LOST, "came too early, and there was no room to hold them"],
  out_of_window: ["packets", ASIDE, "sequence numbers far from where their stream is"],
  after_reset_bytes: ["bytes", ASIDE, "sent after the stream was reset"],
  after_close_packets: ["packets", ASIDE, "came after the stream was closed"],
  malformed_rows: ["packets", LOST, "arrived at a shard damaged: a fault of flowmate's own"],
  streams_evicted: ["streams", ASIDE, "left the inventory to make room: raise --max-streams"],
  events_after_eviction: ["events", ASIDE, "of streams that had left the inventory"],
  previews_after_eviction: ["events", ASIDE, "first bytes of streams that had left the inventory"],
  previews_malformed: ["events", LOST, "first bytes that were damaged: a fault of flowmate's own"],
  match_counts_over_limit: ["streams", LOST, "matches found, and no room to count them by pattern"],
  match_counts_after_eviction: ["streams", ASIDE, "matches in streams that had left the inventory"],
  packets_lost: ["packets", LOST, "went with a shard that ended early"],
  packets_repeated: ["packets", ASIDE, "counted as gone with a shard, and analysed after all"],
  event_messages_lost: ["messages", LOST, "of shards that did not reach the coordinator"],
  messages_malformed: ["messages", LOST, "between services that could not be understood"],
  output_lines: ["lines", LOST, "of streams that could not be written to the output"],
  output_lines_in_restart: ["lines", LOST, "of streams, on their way when the coordinator ended"],
  output_records: ["lines", LOST, "of health and sources that could not be written to the output"],
  dropped_kernel: ["packets", LOST, "the kernel had no room for them: flowmate was too slow"],
  dropped_interface: ["packets", LOST, "the network card or its driver dropped them"],
  dropped_ours: ["packets", LOST, "the system still held them when the end was wanted"],
  dropped_not_sent: ["packets", LOST, "captured, and gone with capture before a shard had them"],
  dropped_refeed: [
    "packets",
    LOST,
    "came while a shard was fed again, and the packet ring was full",
  ],
  packet_ring_left_out: ["packets", ASIDE, "analysed, but not kept: the packet ring had no room"],
};

/** Of a reason that a newer server may know. */
export function reasonOf(name: string): Reason {
  const [unit, lost, means] = REASONS[name] ?? ["packets", LOST, name.replaceAll("_", " ")];
  return { unit, lost, means };
}

/** Sums by unit, of what was lost or of what was left aside. */
export function sumsOf(drops: Readonly<Record<string, number>>, lost: boolean): Map<Unit, number> {
  const sums = new Map<Unit, number>();
  for (const [name, count] of Object.entries(drops)) {
    const reason = reasonOf(name);
    if (reason.lost === lost && count > 0)
      sums.set(reason.unit, (sums.get(reason.unit) ?? 0) + count);
  }
  return sums;
}

/** "1,204 packets, 3 lines"; "" when there is nothing. */
export function formatSums(sums: Map<Unit, number>): string {
  return [...sums].map(([unit, count]) => formatAmount(count, unit)).join(", ");
}

export function formatAmount(count: number, unit: Unit): string {
  if (unit === "bytes") return formatBytes(count);
  return `${formatCount(count)} ${count === 1 ? unit.slice(0, -1) : unit}`;
}
