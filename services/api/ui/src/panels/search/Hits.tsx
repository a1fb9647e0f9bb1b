/** The hits of a search, in the order in which they were found. */

import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef, useState } from "react";

import { useCommands } from "../../keys/useCommands";
import { go } from "../../view/useView";
import type { Hit } from "./found";
import { HitRow } from "./HitRow";

const ROW_PX = 22;

/** Where somebody was in a search before the panel was closed. */
let left = { search: "", at: 0 };

interface Props {
  /** Of the search. */
  id: string;
  hits: readonly Hit[];
}

export function Hits({ id, hits }: Props) {
  const holder = useRef<HTMLDivElement>(null);
  const [at, setAt] = useState(left.search === id ? left.at : 0);
  // eslint-disable-next-line react-hooks/incompatible-library -- what it returns stays in here
  const rows = useVirtualizer({
    count: hits.length,
    getScrollElement: () => holder.current,
    estimateSize: () => ROW_PX,
    overscan: 10,
  });
  const move = (to: number) => {
    const next = Math.max(0, Math.min(hits.length - 1, to));
    left = { search: id, at: next };
    setAt(next);
    rows.scrollToIndex(next);
    holder.current?.focus();
  };
  const page = () => Math.max(1, Math.floor((holder.current?.clientHeight ?? 0) / ROW_PX) - 1);
  const open = (hit: Hit | undefined) => hit && openHit(hit);
  useCommands({
    "list.next": () => move(at + 1),
    "list.previous": () => move(at - 1),
    "list.first": () => move(0),
    "list.last": () => move(hits.length - 1),
    "list.pageDown": () => move(at + page()),
    "list.pageUp": () => move(at - page()),
    "inspector.open": () => open(hits[at]),
  });
  useEffect(() => {
    holder.current?.focus();
    if (left.search === id && left.at > 0) rows.scrollToIndex(left.at);
    // once, when the first hits are there, or the panel is opened again
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, []);
  return (
    <div
      ref={holder}
      className="hits"
      role="listbox"
      aria-label="hits"
      tabIndex={0}
      aria-activedescendant={`hit-${at}`}
    >
      <div style={{ height: rows.getTotalSize() }}>
        {rows.getVirtualItems().map(({ index, start }) => {
          const hit = hits[index];
          return (
            hit && (
              <HitRow
                key={index}
                hit={hit}
                id={`hit-${index}`}
                place={{ at: index + 1, of: hits.length }}
                top={start}
                current={index === at}
                onOpen={() => {
                  move(index);
                  openHit(hit);
                }}
              />
            )
          );
        })}
      </div>
    </div>
  );
}

/** The stream at its bytes; Back comes back to the hits. */
function openHit({ stream_id_hex, direction, start, end }: Hit): void {
  go(
    {
      stream: stream_id_hex,
      dir: direction,
      at: start,
      len: end - start,
      match: null,
      tab: "conversation",
      panel: null,
    },
    { push: true },
  );
}
