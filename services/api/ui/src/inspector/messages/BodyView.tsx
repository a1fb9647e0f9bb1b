/** A message's body: without its codings, or as it was sent. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { download } from "../../actions/download";
import { keys } from "../../api/keys";
import { formatBytes } from "../../format/numbers";
import { visibleLine } from "../../format/visible";
import { useTrying } from "../../notices/useTrying";
import { usePatterns } from "../matches/useMatches";
import { OctetView } from "../octets/OctetView";
import { useShown } from "../profile";
import { Trouble } from "../Trouble";
import { readBody } from "./body";
import type { Message } from "./useMessages";

const FIRST_OCTETS = 16 * 1024;
const MORE_OCTETS = 64 * 1024;

interface Props {
  message: Message;
  decoded: boolean;
  onSwap: () => void;
}

export function BodyView({ message, decoded, onSwap }: Props) {
  const { mode } = useShown();
  const trying = useTrying();
  const patterns = usePatterns();
  const [most, setMost] = useState(FIRST_OCTETS);
  const { stream_id_hex: id, message_id, body_end } = message;
  const path = `/api/streams/${id}/messages/${message_id}/body`;
  const { data, error, refetch } = useQuery({
    queryKey: keys.decoded(id, { message_id, body_end, decoded, most }),
    queryFn: ({ signal }) => readBody(path, decoded, most, signal),
    placeholderData: keepPreviousData,
    structuralSharing: false,
  });
  const name = `${id}-${message_id}${decoded ? "-decoded" : ""}.bin`;
  const save = () => trying("not downloaded", () => download(path, { decoded }, name));
  return (
    <section className="message-body" aria-label={`body of the ${message.kind}`}>
      <div className="turn-head">
        <span>body</span>
        <span className="muted">{decoded ? codingsNote(data?.codings ?? "") : "as sent"}</span>
        <span className="fill" />
        <button
          type="button"
          className="small"
          aria-pressed={decoded}
          title="as sent, or decoded (Shift+M)"
          onClick={onSwap}
        >
          {decoded ? "raw" : "decode"}
        </button>
        <button type="button" className="small" onClick={save}>
          download
        </button>
      </div>
      {error ? (
        <Trouble error={error} what="the body" again={() => void refetch()} />
      ) : (
        data && (
          <>
            {data.cut && <p className="note warning">a bound of the server cut the body</p>}
            <OctetView
              octets={data.octets}
              mode={mode}
              origin={null}
              group={`${message_id}:body`}
              patterns={patterns}
            />
            {data.octets.length === 0 && <p className="note muted">empty</p>}
            {data.more && (
              <button type="button" className="small" onClick={() => setMost(most + MORE_OCTETS)}>
                show 64 kB more · {formatBytes(data.octets.length)} shown
              </button>
            )}
          </>
        )
      )}
    </section>
  );
}

/** `http_chunked=applied, gzip=failed` as people read it. */
function codingsNote(codings: string): string {
  if (codings === "") return "no codings";
  return visibleLine(codings.slice(0, 200))
    .split(", ")
    .map((step) => step.replace(/=applied$/, " ✓").replace("=", ": "))
    .join(" → ");
}
