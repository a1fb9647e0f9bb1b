/** Which stream it is, and what the team noted on it. */

import { useQuery } from "@tanstack/react-query";

import { useStreamActions } from "../actions/useStreamActions";
import type { Health } from "../api/client";
import { healthQuery } from "../api/queries";
import {
  formatBytes,
  formatCount,
  formatDateTime,
  formatDuration,
  formatEndpoint,
} from "../format/numbers";
import { visibleLine } from "../format/visible";
import { run } from "../keys/useCommands";
import { Comment } from "./Comment";
import { notesOf } from "./notes";
import { endsOf } from "./sides";
import { Tags } from "./Tags";
import type { Row } from "./useStream";

const REASON_MAX = 200;

export function Header({ row }: { row: Row }) {
  const { toggleFavorite, toggleHidden } = useStreamActions();
  const { client, server } = endsOf(row);
  const running = useQuery({ ...healthQuery(), select: mayGoOn }).data ?? true;
  const lasted = row.last_seen_us - row.first_seen_us;
  return (
    <header className="inspector-header">
      <div className="facts">
        <button
          type="button"
          className="plain star"
          aria-pressed={row.favorite}
          aria-label="favourite"
          title="favourite (f)"
          onClick={() => void toggleFavorite(row)}
        >
          {row.favorite ? "★" : "☆"}
        </button>
        <h2 title={`${row.service.name ?? "unknown service"}: ${row.service.evidence}`}>
          {row.service.name ?? row.protocol}
        </h2>
        <span className="ends">
          <span className="client">C {formatEndpoint(client)}</span>
          <span className="muted"> → </span>
          <span className="server">S {formatEndpoint(server)}</span>
        </span>
      </div>
      <div className="facts muted">
        <dl>
          <Fact name="bytes" title={`${formatCount(row.packets)} packets`}>
            {formatBytes(row.bytes)}
          </Fact>
          <Fact name="status">{row.status}</Fact>
          <Fact name="lasted">{formatDuration(lasted)}</Fact>
          <Fact name="first seen" title="UTC">
            {formatDateTime(row.first_seen_us)}
          </Fact>
          <Fact name="id">
            <span className="mono">{row.stream_id_hex}</span>
          </Fact>
        </dl>
        {notesOf(row, running).map(({ text, trouble }) => (
          <span key={text} className={trouble ? "warning" : ""}>
            {trouble && "⚠ "}
            {text}
          </span>
        ))}
      </div>
      <div className="facts">
        {row.hidden && (
          <button
            type="button"
            className="small warning"
            title="show it again (x)"
            onClick={() => void toggleHidden(row)}
          >
            <bdi>{visibleLine(reasonOf(row).slice(0, REASON_MAX))}</bdi>
          </button>
        )}
        <Tags row={row} />
        <Comment key={row.stream_id_hex} row={row} />
        <span className="row">
          <HeaderButton command="stream.hide" pressed={row.hidden} title="hide, or show again (x)">
            {row.hidden ? "show" : "hide"}
          </HeaderButton>
          <HeaderButton command="stream.hideRule" title="make a hide rule of it (Shift+X)">
            rule…
          </HeaderButton>
          <HeaderButton command="stream.download" title="download (d)">
            save…
          </HeaderButton>
          <HeaderButton command="copy.link" title="copy a link to this view (y l)">
            link
          </HeaderButton>
        </span>
      </div>
    </header>
  );
}

function mayGoOn({ run_status }: Health): boolean {
  return run_status === "running" || run_status === "waiting";
}

/** `hidden by hand`, `hidden: rule 3: service dns` */
function reasonOf({ hidden_reason: reason }: Row): string {
  if (reason === null || reason.startsWith("hidden")) return reason ?? "hidden";
  return `hidden: ${reason}`;
}

function HeaderButton({
  command,
  pressed,
  title,
  children,
}: {
  command: Parameters<typeof run>[0];
  pressed?: boolean;
  title: string;
  children: string;
}) {
  return (
    <button
      type="button"
      className="small"
      aria-pressed={pressed}
      title={title}
      onClick={() => void run(command)}
    >
      {children}
    </button>
  );
}

function Fact({
  name,
  title,
  children,
}: {
  name: string;
  title?: string;
  children: React.ReactNode;
}) {
  return (
    <div className="fact" title={title}>
      <dt className="spoken-only">{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
