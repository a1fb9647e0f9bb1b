/**
 * Turns as they were read so far. A page's long turn is cut into parts by the server, and an open
 * stream's last turn goes on later: here a turn is whole again, its parts in order.
 */

import type { DirectionName, Schemas } from "../../api/client";
import { concat, fromBase64, type Octets } from "../octets/base64";

export type Brief = Schemas["BriefMessage"];
export type Highlight = Schemas["TurnHighlight"];

export interface Turn {
  /** Names it for good: its direction and first offset; a gap's is its own. */
  key: string;
  direction: DirectionName;
  /** Logical offsets in its direction; end grows as more is read. */
  start: number;
  end: number;
  ts_us: number;
  delta_us: number;
  gap: boolean;
  /** What follows it, where that was not read yet, is the rest of it. */
  continues: boolean;
  /** Empty in a gap. */
  parts: readonly Part[];
  highlights: readonly Highlight[];
  message: Brief | null;
  message_count: number;
}

export interface Talk {
  turns: readonly Turn[];
  /** Where to read on. */
  after: string;
  /** There was nothing more when it was read. */
  ended: boolean;
  /** Pages that were read. */
  pages: number;
}

/** Bytes as they came; they are decoded when somebody looks at them. */
export class Part {
  private decoded: Octets | null = null;

  constructor(
    readonly start: number,
    readonly end: number,
    private readonly base64: string,
  ) {}

  get octets(): Octets {
    return (this.decoded ??= fromBase64(this.base64));
  }
}

export const NOTHING: Talk = { turns: [], after: "0-0", ended: false, pages: 0 };

/** What was read, and a page that follows it. */
export function join(talk: Talk, page: Schemas["Conversation"]): Talk {
  const turns = [...talk.turns];
  for (const told of page.turns) {
    const last = turns.at(-1);
    if (last && goesOn(last, told)) turns[turns.length - 1] = longer(last, told);
    else turns.push(turnOf(told));
  }
  return { turns, after: page.end_cursor, ended: page.next_cursor === null, pages: talk.pages + 1 };
}

function goesOn(last: Turn, told: Schemas["Turn"]): boolean {
  return last.direction === told.direction && last.end === told.start && last.gap === told.gap;
}

function longer(turn: Turn, told: Schemas["Turn"]): Turn {
  return {
    ...turn,
    end: told.end,
    continues: told.continues,
    parts: [...turn.parts, ...partsOf(told)],
    highlights: [...turn.highlights, ...told.highlights],
    message: turn.message ?? told.message,
    message_count: turn.message_count + told.message_count,
  };
}

function turnOf(told: Schemas["Turn"]): Turn {
  const { direction, start, end, ts_us, delta_us, gap, continues } = told;
  const { highlights, message, message_count } = told;
  return {
    key: `${direction}:${start}${gap ? ":gap" : ""}`,
    ...{ direction, start, end, ts_us, delta_us, gap, continues },
    ...{ highlights, message, message_count },
    parts: partsOf(told),
  };
}

function partsOf(told: Schemas["Turn"]): Part[] {
  return told.gap ? [] : [new Part(told.start, told.end, told.view)];
}

/** Its octets [start, end), logical offsets. */
export function octetsIn(turn: Turn, start: number, end: number): Octets {
  const pieces: Octets[] = [];
  for (const part of turn.parts)
    if (part.start < end && part.end > start)
      pieces.push(part.octets.subarray(Math.max(0, start - part.start), end - part.start));
  return pieces.length === 1 && pieces[0] ? pieces[0] : concat(pieces);
}

/** The turn that a place lies in; -1 when it was not read (yet). */
export function turnAt(turns: readonly Turn[], direction: DirectionName, at: number): number {
  return turns.findIndex(
    (turn) => turn.direction === direction && turn.start <= at && at < turn.end,
  );
}
