/** Captures that are uploaded here, and what became of them. */

import { useId } from "react";

import { formatBytes, formatCount } from "../../format/numbers";
import { visibleLine } from "../../format/visible";
import { sentenceOf } from "../../notices/NoticeProvider";
import { formatShare, type SourceHealth } from "../../status/health";
import { NameCell } from "../NameCell";
import { ShareBar } from "../ShareBar";
import { uploads, useUploads, type Upload } from "./uploads";

export function Captures({ sources }: { sources: readonly SourceHealth[] }) {
  const all = useUploads();
  const inputId = useId();
  return (
    <section className="section">
      <h3>Add captures</h3>
      <div className="toolbar">
        <label htmlFor={inputId}>pcap or pcapng; plain, gzip or zstd:</label>
        <input
          id={inputId}
          type="file"
          multiple
          onChange={(event) => {
            uploads.add(event.target.files ?? []);
            event.target.value = "";
          }}
        />
        <span className="muted">or drop them anywhere on the page</span>
      </div>
      {all.length > 0 && (
        <table className="table" aria-label="uploads">
          <tbody>
            {all.map((each) => (
              <UploadRow
                key={each.number}
                upload={each}
                source={sources.find(({ name }) => name === each.source)}
              />
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function UploadRow({ upload, source }: { upload: Upload; source: SourceHealth | undefined }) {
  const { number, file, sent, state } = upload;
  const share = file.size > 0 ? Math.min(1, sent / file.size) : 0;
  const underWay = state === "waiting" || state === "sending";
  return (
    <tr>
      <NameCell name={file.name} />
      <td className="number">{formatBytes(file.size)}</td>
      <td>
        {state === "sending" && <ShareBar share={share} />}
        <span role="status" className={state === "failed" ? "warning" : ""}>
          {visibleLine(textOf(upload, share, source))}
        </span>
      </td>
      <td className="actions">
        {underWay && (
          <button type="button" onClick={() => uploads.cancel(number)}>
            cancel
          </button>
        )}
      </td>
    </tr>
  );
}

function textOf({ state, error }: Upload, share: number, source: SourceHealth | undefined): string {
  if (state === "sending") return `${formatShare(share)} sent`;
  if (state === "failed") return `⚠ ${sentenceOf(error)}`;
  if (state !== "taken") return state;
  if (source === undefined) return "taken; waits to be read";
  const read = `${formatCount(source.packets)} packets read`;
  return source.status === "done" ? read : `${source.status}, ${read}`;
}
