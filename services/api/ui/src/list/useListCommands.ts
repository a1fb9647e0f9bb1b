/** The keys of the list. */

import { useQueryClient } from "@tanstack/react-query";

import { request, type Params, type StreamPage } from "../api/client";
import { keys } from "../api/keys";
import { useCommands } from "../keys/useCommands";
import { sentenceOf, useSay } from "../notices/NoticeProvider";
import { flow } from "../view/flow";
import { currentView } from "../view/useView";
import type { Listed } from "./blocks";
import type { RowWindow } from "./useRowWindow";
import type { Rows } from "./useRows";
import { selectStream, type Selection } from "./useSelection";

interface List {
  listed: Listed;
  rows: Rows;
  win: RowWindow;
  selection: Selection;
}

export function useListCommands({ listed, rows, win, selection }: List): void {
  const client = useQueryClient();
  const say = useSay();
  useCommands({
    "list.next": () => selection.move(1),
    "list.previous": () => selection.move(-1),
    "list.first": () => selection.moveTo(0),
    "list.last": () => selection.moveTo(rows.count - 1),
    "list.pageDown": () => selection.move(win.pageRows),
    "list.pageUp": () => selection.move(-win.pageRows),
    "inspector.open": () => {
      if (currentView().stream === null) selection.move(0);
      focusInspector();
    },
    "match.nextStream": () => void nextWithMatch(listed, rows, selection, say),
    "run.live": () => {
      flow.follow();
      win.toStart();
    },
    "run.pause": () => {
      if (flow.read().pausedAt === null) {
        flow.pause();
        return;
      }
      flow.goOn();
      void client.invalidateQueries({ queryKey: keys.streams });
      void client.invalidateQueries({ queryKey: keys.overview });
    },
  });
}

const FRAMES_MAX = 60; // the inspector has to be drawn first

function focusInspector(frames = 0): void {
  const panel = document.querySelector<HTMLElement>(".inspector [role=tabpanel]");
  if (panel !== null) panel.focus();
  else if (frames < FRAMES_MAX) requestAnimationFrame(() => focusInspector(frames + 1));
}

async function nextWithMatch(
  { params, order }: Listed,
  rows: Rows,
  { index, standing }: Selection,
  say: ReturnType<typeof useSay>,
): Promise<void> {
  const cursor = (index === null ? undefined : rows.at(index)?.number) ?? standing?.number;
  const asked = { ...(params as Params), order, cursor, only_matched: true, limit: 1 };
  try {
    const page = await request<StreamPage>("/api/streams", { params: asked });
    const next = page.streams[0];
    if (next === undefined) say("no further stream of this list has a match");
    else selectStream(next.stream_id_hex);
  } catch (error) {
    say(sentenceOf(error), { trouble: true });
  }
}
