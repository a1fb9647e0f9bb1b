/** Packets: how many there were, and which can be had as a file: captured ones, or made ones. */

import type { Schemas } from "../../api/client";
import { formatBytes, formatCount } from "../../format/numbers";
import { run } from "../../keys/useCommands";
import { ARROW, directionOf, LETTER, type Side } from "../sides";
import type { Row } from "../useStream";
import { download } from "../../actions/download";
import { packetFiles, type PacketFile } from "../../actions/packets";
import { useRing } from "../../actions/useRing";
import { useTrying } from "../../notices/useTrying";

const KEPT =
  "The packets themselves are kept on disk, the newest of the run as far as there is room " +
  "(--packet-ring-bytes). What a file has of them is said when it was downloaded.";
const NOT_KEPT = "The packets themselves are not kept: the run was started without --packet-ring.";
const MADE =
  "A capture can be made of the stream as well: endpoints, payload, order, times and gaps are the " +
  "captured ones; where a packet begins and ends, and all other header fields, are synthesised. A " +
  "comment in the file says which packets are which.";

const SIDES: readonly Side[] = ["client", "server"];

export function Packets({ row }: { row: Row }) {
  const trying = useTrying();
  const ring = useRing();
  const made = row.protocol === "tcp" || row.protocol === "udp";
  const path = `/api/streams/${row.stream_id_hex}/export`;
  const save = ({ wanted, name }: PacketFile) =>
    trying("not downloaded", () => download(path, { format: "pcap", packets: wanted }, name));
  return (
    <div className="packets">
      <table>
        <caption>captured</caption>
        <thead>
          <tr>
            <th scope="col">from</th>
            <th scope="col">packets</th>
            <th scope="col">on the wire</th>
            <th scope="col">payload</th>
            <th scope="col">reassembled</th>
            <th scope="col">gaps</th>
          </tr>
        </thead>
        <tbody>
          {SIDES.map((side) => {
            const told = row.directions?.[directionOf(row, side)];
            return (
              <tr key={side}>
                <th scope="row" className={side}>
                  {ARROW[side]} {LETTER[side]} {side}
                </th>
                {told && <Counts told={told} />}
              </tr>
            );
          })}
        </tbody>
      </table>
      <p>
        {ring ? KEPT : NOT_KEPT}{" "}
        {made
          ? MADE
          : `Of ${row.protocol} none can be made: there is the raw content of each side.`}
      </p>
      <p className="files">
        {packetFiles(row, ring).map((file) => (
          <button
            key={file.wanted}
            type="button"
            disabled={file.not !== undefined}
            title={file.not}
            onClick={() => save(file)}
          >
            {file.title}
          </button>
        ))}
        <button type="button" onClick={() => void run("stream.download")}>
          other forms… (d)
        </button>
      </p>
    </div>
  );
}

function Counts({ told }: { told: Schemas["Direction"] }) {
  return (
    <>
      <td>{formatCount(told.packets)}</td>
      <td>{formatBytes(told.bytes)}</td>
      <td>{formatBytes(told.payload_bytes)}</td>
      <td>{formatBytes(told.stream_bytes)}</td>
      <td>
        {told.gaps === 0
          ? "none"
          : `${formatCount(told.gaps)}, ${formatCount(told.gap_bytes)} bytes`}
      </td>
    </>
  );
}
