/** The selected stream in the list: where it is, and how the keys move it. */

import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";

import { expectConversation } from "../inspector/conversation/useConversation";
import { flow } from "../view/flow";
import { currentView, go, useViewOf } from "../view/useView";
import { EMPTY } from "../view/view";
import type { Listed } from "./blocks";
import { usePlace, type Standing } from "./usePlace";
import type { RowWindow } from "./useRowWindow";
import type { Rows } from "./useRows";

const STEP_MS = 1000; // steps that follow each other faster are one for the Back button

export interface Selection {
  /** Its row's index; null: it is not known, or not in this list. */
  index: number | null;
  /** The selected stream does not pass the filter. */
  outside: boolean;
  /** As far as its place had to be asked for. */
  standing: Standing | null;
  move: (by: number) => void;
  moveTo: (index: number) => void;
}

let steppedAt = 0;

/** Look at a stream, from its beginning. */
export function selectStream(id: string): void {
  if (currentView().stream === id) return;
  const push = Date.now() - steppedAt > STEP_MS;
  steppedAt = Date.now();
  flow.stay();
  const { dir, at, len, match, decoder } = EMPTY;
  go({ stream: id, dir, at, len, match, decoder }, { push });
}

export function useSelection(
  listed: Listed,
  ready: boolean,
  rows: Rows,
  win: RowWindow,
): Selection {
  const client = useQueryClient();
  const [stream, tab] = [useViewOf("stream"), useViewOf("tab")];
  const found = stream === null ? null : rows.indexOf(stream);
  const asked = ready && found === null && rows.counts !== null;
  const standing = usePlace(listed, stream, asked);
  const place = standing?.place ?? null;
  const index = found ?? (place === null ? null : place - (rows.counts?.fresh ?? 0));
  const inside = index !== null && index >= 0 ? index : null;

  // a row that is not read yet is selected as soon as it is
  const [wanted, setWanted] = useState<{ list: string; index: number } | null>(null);
  const wantedId =
    wanted?.list === rows.list ? (rows.at(wanted.index)?.stream_id_hex ?? null) : null;
  useEffect(() => {
    if (wantedId !== null) selectStream(wantedId);
  }, [wantedId]);
  if (wantedId !== null && wantedId === stream) setWanted(null);

  // newer than all that this list shows
  const ahead = index !== null && index < 0;
  useEffect(() => {
    if (ahead) flow.advance();
  }, [ahead]);

  // seen once it is known where it is: not again when rows come and go
  const { reveal } = win;
  const revealed = useRef("");
  const seen = `${stream ?? ""} ${rows.list}`;
  useEffect(() => {
    if (inside === null || revealed.current === seen) return;
    revealed.current = seen;
    reveal(inside);
  }, [inside, seen, reveal]);

  const moveTo = useCallback(
    (target: number) => {
      if (rows.count === 0) return;
      const bounded = Math.min(Math.max(0, target), rows.count - 1);
      const row = rows.at(bounded);
      setWanted(row === undefined ? { list: rows.list, index: bounded } : null);
      reveal(bounded);
      if (row === undefined) flow.stay();
      else {
        if (tab === "conversation") expectConversation(client, row.stream_id_hex);
        selectStream(row.stream_id_hex);
      }
    },
    [rows, reveal, tab, client],
  );
  const from = wanted?.list === rows.list && wantedId === null ? wanted.index : inside;
  return {
    index: inside,
    outside: standing !== null && standing.place === null && found === null,
    standing,
    move: (by) => moveTo(from === null ? win.topRow() : from + by),
    moveTo,
  };
}
