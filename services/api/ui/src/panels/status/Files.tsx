/** Captures of watched folders, and those that were uploaded: each with how far it is read. */

import { formatCount } from "../../format/numbers";
import { visibleLine } from "../../format/visible";
import type { Schemas } from "../../api/client";
import { NameCell } from "../NameCell";
import { ReadCell } from "../ReadCell";

export function Files({ ledger: { files, older } }: { ledger: Schemas["Ledger"] }) {
  const { files: others, packets, damaged } = older;
  if (files.length === 0 && others === 0) return null;
  return (
    <section className="section">
      <h3>Captures that came one by one</h3>
      <table className="table">
        <thead>
          <tr>
            <th scope="col">name</th>
            <th scope="col">in</th>
            <th scope="col">state</th>
            <th scope="col">read</th>
            <th scope="col" className="number">
              packets
            </th>
            <th scope="col" className="number">
              damaged
            </th>
          </tr>
        </thead>
        <tbody>
          {files.toReversed().map((file) => (
            <FileRow key={file.id} file={file} />
          ))}
        </tbody>
      </table>
      {others > 0 && (
        <p className="muted">
          {`and ${formatCount(others)} older ones: ${formatCount(packets)} packets, `}
          {`${formatCount(damaged)} damaged places`}
        </p>
      )}
    </section>
  );
}

function FileRow({ file }: { file: Schemas["LedgerFile"] }) {
  const { name, source, state, reason, size, offset, packets, damaged } = file;
  const bad = state === "rejected" || (state === "gone" && offset < size);
  return (
    <tr>
      <NameCell name={name} />
      <NameCell name={source} />
      <td className={bad ? "warning long" : "long"} title={visibleLine(reason)}>
        {bad && "⚠ "}
        {state}
        {reason !== "" && `: ${visibleLine(reason)}`}
      </td>
      <ReadCell position={offset} size={size} />
      <td className="number">{formatCount(packets)}</td>
      <td className={damaged > 0 ? "number warning" : "number muted"}>
        {damaged > 0 ? `⚠ ${formatCount(damaged)}` : "0"}
      </td>
    </tr>
  );
}
