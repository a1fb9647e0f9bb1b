/** One stream, one line. */

import { memo, useLayoutEffect, useRef } from "react";

import type { Pattern } from "../api/client";
import { formatServer } from "../format/endpoints";
import { formatBytes, formatDateTime, formatDuration, formatEndpoint } from "../format/numbers";
import { formatShort, formatTime } from "../format/numbers";
import { visibleLine } from "../format/visible";
import type { Side } from "../inspector/sides";
import { Badges } from "./Badges";
import { endsOf, type Row } from "./row";

const SUMMARY_MAX = 300;

export type PatternsById = ReadonlyMap<number, Pick<Pattern, "name" | "color">>;

interface Props {
  row: Row | undefined;
  index: number;
  top: number;
  selected: boolean;
  tabbable: boolean;
  patterns: PatternsById;
}

export const StreamRow = memo(function StreamRow(props: Props) {
  const { row, index, top, selected, tabbable, patterns } = props;
  const ref = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = ref.current;
    return () => {
      // it is scrolled out of the page: the focus must not be lost with it
      if (element !== null && element === document.activeElement)
        element.closest<HTMLElement>("[role=grid]")?.focus({ preventScroll: true });
    };
  }, []);
  return (
    <div
      ref={ref}
      className="row"
      role="row"
      aria-rowindex={index + 2}
      aria-selected={selected}
      aria-busy={row === undefined}
      data-index={index}
      data-hidden={row?.hidden ?? false}
      tabIndex={tabbable ? 0 : -1}
      style={{ top }}
    >
      {row === undefined ? <Placeholder /> : <Cells row={row} patterns={patterns} />}
    </div>
  );
});

function Placeholder() {
  return (
    <span role="gridcell" className="placeholder">
      <span className="spoken-only">loading</span>
    </span>
  );
}

function Cells({ row, patterns }: { row: Row; patterns: PatternsById }) {
  const { client, server } = endsOf(row);
  const ported = row.protocol === "tcp" || row.protocol === "udp";
  const service = row.service.name ?? (ported ? `:${server.port}` : row.protocol);
  const ends = `${formatEndpoint(client)} → ${formatEndpoint(server)} (${row.protocol})`;
  return (
    <>
      <span role="gridcell" className="c-star">
        <button
          type="button"
          className="plain star"
          data-star
          tabIndex={-1}
          aria-pressed={row.favorite}
          aria-label="favourite"
        >
          {row.favorite ? "★" : "☆"}
        </button>
      </span>
      <span role="gridcell" className="c-time" title={formatDateTime(row.first_seen_us)}>
        {formatTime(row.first_seen_us)}
      </span>
      <span
        role="gridcell"
        className="c-service"
        title={`${row.protocol} ${row.service.evidence}`}
        data-known={row.service.name !== null}
      >
        {service}
      </span>
      <span role="gridcell" className="c-ends" title={ends}>
        {endpoint("client", client.addr, client.port)}
        <span className="arrow"> → </span>
        {endpoint("server", formatServer(client.addr, server.addr), server.port)}
      </span>
      <bdi role="gridcell" className="c-summary">
        {visibleLine(row.summary.slice(0, SUMMARY_MAX))}
      </bdi>
      <span role="gridcell" className="c-up client" title={`${formatBytes(row.clientBytes)} sent`}>
        {formatShort(row.clientBytes)}
      </span>
      <span
        role="gridcell"
        className="c-down server"
        title={`${formatBytes(row.serverBytes)} received`}
      >
        {formatShort(row.serverBytes)}
      </span>
      <span role="gridcell" className="c-duration">
        {formatDuration(row.last_seen_us - row.first_seen_us)}
      </span>
      <span role="gridcell" className="c-badges">
        <Badges row={row} patterns={patterns} />
      </span>
    </>
  );
}

/** RFC 5952 §6: where a port follows, an IPv6 address is in brackets. */
function endpoint(side: Side, addr: string, port: number) {
  const bracketed = addr.includes(":");
  return (
    <bdi className={side}>
      {bracketed && <span className="port">[</span>}
      {addr}
      <span className="port">{bracketed ? `]:${port}` : `:${port}`}</span>
    </bdi>
  );
}
