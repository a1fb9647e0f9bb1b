/** What is to be known before one believes what is shown of a stream. */

import { MIDSTREAM, SNAPLEN_CUT } from "../format/lacks";
import { formatBytes, formatCount } from "../format/numbers";
import { sideOf } from "./sides";
import type { Row } from "./useStream";

export interface Note {
  text: string;
  /** Something is missing or doubtful. */
  trouble: boolean;
}

/** Fields that a shard adds to what it retains. */
interface Kept {
  enabled?: boolean;
  trimmed_bytes?: number;
  evicted_bytes?: number;
}

/** running: packets may still come. */
export function notesOf(row: Row, running: boolean): Note[] {
  const notes: Note[] = [];
  const trouble = (text: string) => notes.push({ text, trouble: true });
  if (running && (row.status === "open" || row.status === "closing"))
    notes.push({ text: "still growing", trouble: false });
  const silent = silentSide(row);
  if (silent !== null) trouble(`one-sided: nothing of the ${silent} was seen`);
  if (row.midstream) trouble(MIDSTREAM);
  if (row.snaplen_cut) trouble(SNAPLEN_CUT);
  if (row.gaps > 0)
    trouble(
      `${formatCount(row.gaps)} ${row.gaps === 1 ? "gap" : "gaps"}, ${formatCount(row.gap_bytes)} bytes missing`,
    );
  if (row.conflicts > 0)
    trouble(`${formatCount(row.conflicts)} retransmissions differ from what came first`);
  const kept = (row.content ?? {}) as Kept;
  if (kept.enabled === false) trouble("this run keeps no content");
  if (kept.trimmed_bytes) trouble(`${formatBytes(kept.trimmed_bytes)} trimmed: it was too long`);
  if (kept.evicted_bytes)
    trouble(`${formatBytes(kept.evicted_bytes)} evicted: they made room for newer content`);
  if (row.content === null) trouble(row.content_note ?? "what is retained is not known");
  return notes;
}

function silentSide(row: Row): "client" | "server" | null {
  if (row.directions === undefined) return null;
  const { a_to_b, b_to_a } = row.directions;
  const seen = [a_to_b.packets > 0, b_to_a.packets > 0];
  if (seen[0] === seen[1] || row.status === "attempt") return null;
  return sideOf(row, seen[0] ? "b_to_a" : "a_to_b");
}
