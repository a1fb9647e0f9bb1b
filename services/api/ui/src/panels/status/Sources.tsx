/** Where packets come from. */

import { formatBytes, formatCount, formatTime } from "../../format/numbers";
import { visibleLine } from "../../format/visible";
import { droppedBy, type SourceHealth } from "../../status/health";
import { NameCell } from "../NameCell";
import { ReadCell } from "../ReadCell";

export function Sources({ sources }: { sources: readonly SourceHealth[] }) {
  return (
    <section className="section">
      <h3>Sources</h3>
      {sources.length === 0 ? (
        <p className="muted">
          None yet. Give one with <code>flowmate --pcap capture.pcap</code>, or add a capture above.
        </p>
      ) : (
        <table className="table">
          <thead>
            <tr>
              <th scope="col">name</th>
              <th scope="col">kind</th>
              <th scope="col">state</th>
              <th scope="col">read</th>
              <th scope="col" className="number">
                packets
              </th>
              <th scope="col" className="number">
                bytes
              </th>
              <th scope="col" className="number">
                dropped
              </th>
              <th scope="col">could not be read</th>
            </tr>
          </thead>
          <tbody>
            {sources.map((source) => (
              <SourceRow key={source.name} source={source} />
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function SourceRow({ source }: { source: SourceHealth }) {
  const { name, kind, status, packets, bytes, damaged, trouble } = source;
  const dropped = droppedBy(source);
  const problems = problemsOf(source);
  return (
    <tr>
      <NameCell name={name} />
      <td>{kind}</td>
      <td className={status === "failed" ? "warning" : ""}>
        {status === "failed" && "⚠ "}
        {status}
        {trouble && <span className="warning">: {visibleLine(trouble)}</span>}
      </td>
      <ReadCell position={source.position} size={source.size} />
      <td className="number">{formatCount(packets)}</td>
      <td className="number">{formatBytes(bytes)}</td>
      <td className={dropped > 0 ? "number warning" : "number muted"}>
        {dropped > 0 ? `⚠ ${formatCount(dropped)}` : "0"}
        {source.last_drop_us ? `, last at ${formatTime(source.last_drop_us)}` : ""}
      </td>
      <td className={damaged > 0 ? "warning" : "muted"}>
        {damaged > 0 ? `⚠ ${formatCount(damaged)}: ${problems.join("; ")}` : "nothing"}
      </td>
    </tr>
  );
}

function problemsOf({ problems, damaged }: SourceHealth): string[] {
  const said = problems.map(({ offset, reason }) =>
    visibleLine(offset > 0 ? `${reason} (at byte ${formatCount(offset)})` : reason),
  );
  return damaged > problems.length ? [...said, "…"] : said;
}
