/** One stream, looked into. */

import type { KeyboardEvent } from "react";

import { StreamCommands } from "../actions/StreamCommands";
import { ApiError } from "../api/client";
import { useCommands } from "../keys/useCommands";
import { go, useView } from "../view/useView";
import { Conversation } from "./conversation/Conversation";
import { Foot } from "./Foot";
import { Header } from "./Header";
import { Matches } from "./matches/Matches";
import { Messages } from "./messages/Messages";
import { Packets } from "./packets/Packets";
import { useSelectionWatch } from "./picked";
import { Raw } from "./raw/Raw";
import { nextTab, Tabs } from "./Tabs";
import { Trouble } from "./Trouble";
import { useStream, type Row } from "./useStream";
import "./inspector.css";

const SCROLL = new Set(["ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End"]);

export function Inspector({ id }: { id: string }) {
  const { tab } = useView();
  const { data: row, error, refetch } = useStream(id);
  useSelectionWatch();
  useCommands({ "look.tab": () => go({ tab: nextTab(tab) }) });
  const gone = error instanceof ApiError && error.status === 404;
  if (gone)
    return (
      <section className="inspector" aria-label={`stream ${id}`}>
        <Trouble error={error} what={`stream ${id}`} />
      </section>
    );
  return (
    <section className="inspector" aria-label={`stream ${id}`}>
      {row && <Header row={row} />}
      {error && !row && (
        <Trouble error={error} what={`stream ${id}`} again={() => void refetch()} />
      )}
      <Tabs
        tab={tab}
        counts={{ messages: row?.message_count ?? 0, matches: row?.match_count ?? 0 }}
      />
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- keys bubble here */}
      <div
        className="inspector-panel"
        id="inspector-panel"
        role="tabpanel"
        aria-labelledby={`tab-${tab}`}
        onKeyDown={keepScrollKeys}
      >
        <Panel id={id} row={row} />
      </div>
      {row && <Foot row={row} />}
      {row && <StreamCommands stream={row} />}
    </section>
  );
}

function Panel({ id, row }: { id: string; row: Row | undefined }) {
  const { tab } = useView();
  if (tab === "conversation") return <Conversation id={id} row={row} />;
  if (row === undefined) return <p className="note muted">reading…</p>;
  switch (tab) {
    case "messages":
      return <Messages row={row} />;
    case "matches":
      return <Matches row={row} />;
    case "raw":
      return <Raw row={row} />;
    case "packets":
      return <Packets row={row} />;
  }
}

/** What scrolls here must not move the list. */
function keepScrollKeys(event: KeyboardEvent): void {
  if (SCROLL.has(event.key)) event.stopPropagation();
}
