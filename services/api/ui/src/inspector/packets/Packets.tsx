/** Packets: captured ones are not kept; what there is, is made of the stream, and says so. */

import type { Schemas } from "../../api/client";
import { formatBytes, formatCount } from "../../format/numbers";
import { run } from "../../keys/useCommands";
import { ARROW, directionOf, LETTER, type Side } from "../sides";
import type { Row } from "../useStream";
import { download } from "../../actions/download";
import { sentenceOf, useSay } from "../../notices/NoticeProvider";

const SIDES: readonly Side[] = ["client", "server"];

export function Packets({ row }: { row: Row }) {
  const say = useSay();
  const made = row.protocol === "tcp" || row.protocol === "udp";
  const name = `${row.stream_id_hex}.pcapng`;
  const save = () =>
    void download(`/api/streams/${row.stream_id_hex}/export`, { format: "pcap" }, name).then(
      () => say(`downloaded ${name}`),
      (error: unknown) => say(`not downloaded: ${sentenceOf(error)}`, { trouble: true }),
    );
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
        The packets themselves are not kept.{" "}
        {made
          ? "A capture can be made of the stream: endpoints, payload, order, times and gaps are the captured ones; where a packet begins and ends, and all other header fields, are synthesised. A comment in the file says so."
          : `Of ${row.protocol} none can be made: there is the raw content of each side.`}
      </p>
      <p className="row">
        <button type="button" disabled={!made} onClick={save}>
          download as pcapng, synthesised
        </button>
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
