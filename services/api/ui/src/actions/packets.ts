/** Files of packets that can be had of a stream, and where their packets come from. */

import type { Stream } from "../api/client";

/** As `packets=` of the export has it. */
export type Wanted = "auto" | "captured" | "synthesised";

export interface PacketFile {
  title: string;
  wanted: Wanted;
  name: string;
  /** Why it cannot be had. */
  not: string | undefined;
}

/** ring: captured packets are kept, as far back as there is room. */
export function packetFiles(
  { stream_id_hex: id, protocol }: Pick<Stream, "stream_id_hex" | "protocol">,
  ring: boolean,
): PacketFile[] {
  const file = (wanted: Wanted, title: string, not?: string): PacketFile => ({
    ...{ title, wanted, not },
    name: wanted === "auto" ? `${id}.pcapng` : `${id}-${wanted}.pcapng`,
  });
  const made = /^(tcp|udp)$/.test(protocol) ? undefined : `not of ${protocol}`;
  const synthesised = file("synthesised", "packets made of what was said, as pcapng", made);
  if (!ring) {
    const not = "not kept: the run has no --packet-ring";
    return [file("captured", "captured packets, as pcapng", not), synthesised];
  }
  return [
    file("auto", "captured packets, as pcapng; what is not kept any more is made of what was said"),
    file("captured", "captured packets alone, as pcapng"),
    synthesised,
  ];
}
