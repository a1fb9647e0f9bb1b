/** One hit: whose bytes, where, and what stands around it. */

import { useQuery } from "@tanstack/react-query";

import { request, type StreamDetail } from "../../api/client";
import { keys } from "../../api/keys";
import { formatCount, formatEndpoint, formatTime } from "../../format/numbers";
import { contextOf } from "./context";
import type { Hit } from "./found";

interface Props {
  hit: Hit;
  id: string;
  place: { at: number; of: number };
  /** px */
  top: number;
  current: boolean;
  onOpen: () => void;
}

export function HitRow({ hit, id, place, top, current, onOpen }: Props) {
  const { data: stream } = useQuery({
    queryKey: [...keys.stream(hit.stream_id_hex), "row"],
    queryFn: ({ signal }) => request<StreamDetail>(`/api/streams/${hit.stream_id_hex}`, { signal }),
    retry: false,
  });
  const { before, match, after } = contextOf(hit);
  const byClient = stream && hit.direction === (stream.client === "a" ? "a_to_b" : "b_to_a");
  return (
    <div
      id={id}
      className="hit-row"
      role="option"
      aria-selected={current}
      aria-posinset={place.at}
      aria-setsize={place.of}
      tabIndex={-1}
      style={{ transform: `translateY(${top}px)` }}
      onClick={onOpen}
      onKeyDown={(event) => event.key === "Enter" && onOpen()}
    >
      <span className="muted">{formatTime(hit.ts_us)}</span>
      <span>{stream ? stream.service.name : ""}</span>
      <span className="who">{stream ? whoOf(stream) : hit.stream_id_hex}</span>
      {byClient === undefined ? (
        <span />
      ) : (
        <span className={byClient ? "client" : "server"} title={byClient ? "client" : "server"}>
          {byClient ? "C" : "S"}
        </span>
      )}
      <span className="muted number">{formatCount(hit.start)}</span>
      <span className="mono context">
        <bdi>
          {before}
          <mark className="hit">{match}</mark>
          {after}
        </bdi>
      </span>
    </div>
  );
}

function whoOf({ endpoint_a, endpoint_b, client }: StreamDetail): string {
  const [from, to] = client === "a" ? [endpoint_a, endpoint_b] : [endpoint_b, endpoint_a];
  return `${formatEndpoint(from)} → ${formatEndpoint(to)}`;
}
