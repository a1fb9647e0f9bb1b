/** One stream, looked into. */

import type { ClipboardEvent, FocusEvent, KeyboardEvent } from "react";

import { written } from "../actions/content";
import { StreamCommands } from "../actions/StreamCommands";
import { ApiError } from "../api/client";
import { useCommands } from "../keys/useCommands";
import { currentView, go, useViewOf } from "../view/useView";
import { Conversation } from "./conversation/Conversation";
import { Foot } from "./Foot";
import { Header } from "./Header";
import { Matches } from "./matches/Matches";
import { Messages } from "./messages/Messages";
import { selected } from "./octets/columns";
import { Packets } from "./packets/Packets";
import { useSelectionWatch } from "./picked";
import { OpeningContext, useOpening } from "./profile";
import { Raw } from "./raw/Raw";
import { nextTab, Tabs } from "./Tabs";
import { Trouble } from "./Trouble";
import { useStream, type Row } from "./useStream";
import "./inspector.css";

const SCROLL = new Set(["ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End"]);

export function Inspector({ id }: { id: string }) {
  const tab = useViewOf("tab");
  const { data: row, error, refetch } = useStream(id);
  const opening = useOpening(row);
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
    <OpeningContext value={opening}>
      <section
        className="inspector"
        aria-label={`stream ${id}`}
        aria-busy={row === undefined && error === null}
      >
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
          tabIndex={-1}
          onFocus={focusInside}
          onKeyDown={keepScrollKeys}
          onCopy={(event) => (currentView().mode ?? opening.mode) === "text" && copyExactly(event)}
        >
          <Panel id={id} row={row} />
        </div>
        {row && <Foot row={row} />}
        {row && <StreamCommands stream={row} />}
      </section>
    </OpeningContext>
  );
}

function Panel({ id, row }: { id: string; row: Row | undefined }) {
  const tab = useViewOf("tab");
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

/** The panel itself has nothing to do; what scrolls in it does. */
function focusInside({ target, currentTarget }: FocusEvent<HTMLElement>): void {
  if (target === currentTarget) currentTarget.querySelector<HTMLElement>("[tabindex='0']")?.focus();
}

/** The browser's own copy of text: the text that was sent, not its glyphs. */
function copyExactly(event: ClipboardEvent): void {
  const found = selected();
  if (found === null || found.clipped) return;
  event.clipboardData.setData("text/plain", written(found.octets, "text"));
  event.preventDefault();
}

/** What scrolls here must not move the list. */
function keepScrollKeys(event: KeyboardEvent): void {
  if (SCROLL.has(event.key)) event.stopPropagation();
}
