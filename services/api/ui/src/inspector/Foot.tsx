/** How the stream is looked at: which match, which form, which decoder; and what is selected. */

import { formatBytes, formatCount } from "../format/numbers";
import { run, useCommands } from "../keys/useCommands";
import { currentView, go } from "../view/useView";
import { MODES, type Mode } from "../view/view";
import { goToMatch } from "./matches/goToMatch";
import { useMatches } from "./matches/useMatches";
import { useSelection } from "./picked";
import { useShown } from "./profile";
import { ARROW, hexOffset, LETTER, sideOf, type Side } from "./sides";
import { nextDecoder, TRANSFORMS } from "./transforms";
import type { Row } from "./useStream";

const MODE_TITLES: Record<Mode, string> = { text: "text", hex: "hex", raw: "base64" };
const COPIES = [
  ["copy.text", "text"],
  ["copy.hex", "hex"],
  ["copy.base64", "base64"],
  ["copy.python", "Python bytes"],
  ["copy.curl", "curl"],
] as const;

export function Foot({ row }: { row: Row }) {
  const { mode, decoder, match } = useShown();
  const { found } = useMatches(row.stream_id_hex, row.match_count > 0);
  const step = (by: 1 | -1) => goToMatch(found.matches, stepped(found.matches.length, by));
  useCommands({
    "match.next": () => step(1),
    "match.previous": () => step(-1),
    "look.mode": () => go({ mode: MODES[(MODES.indexOf(mode) + 1) % MODES.length] ?? "text" }),
    "look.decoder": () => go({ decoder: nextDecoder(decoder) }),
  });
  return (
    <footer className="inspector-foot">
      {found.matches.length > 0 && (
        <span className="row" aria-live="polite">
          match {match === null ? "–" : formatCount(match + 1)}/{formatCount(found.matches.length)}
          {found.total > found.matches.length && ` of ${formatCount(found.total)}`}
          <button
            type="button"
            className="small"
            aria-label="previous match"
            title="previous match (Shift+N)"
            onClick={() => step(-1)}
          >
            ‹
          </button>
          <button
            type="button"
            className="small"
            aria-label="next match"
            title="next match (n)"
            onClick={() => step(1)}
          >
            ›
          </button>
        </span>
      )}
      <span className="row" role="group" aria-label="form (v)">
        {MODES.map((name) => (
          <button
            key={name}
            type="button"
            className="small"
            aria-pressed={name === mode}
            title="the next one: v"
            onClick={() => go({ mode: name })}
          >
            {MODE_TITLES[name]}
          </button>
        ))}
      </span>
      <select
        aria-label="decoder"
        title="decoder: the next one is m, as sent or decoded is Shift+M"
        value={decoder}
        onChange={(event) => go({ decoder: event.target.value })}
      >
        <option value="">as sent</option>
        {[...new Set([...TRANSFORMS, decoder])].filter(Boolean).map((name) => (
          <option key={name} value={name}>
            {name.replaceAll(",", " → ")}
          </option>
        ))}
      </select>
      <select
        aria-label="copy"
        title="copy the selection, else what is current: y, then t h b p c"
        value=""
        onChange={(event) => {
          const chosen = COPIES[event.target.selectedIndex - 1];
          if (chosen) run(chosen[0]);
        }}
      >
        <option value="">copy</option>
        {COPIES.map(([command, title]) => (
          <option key={command}>{title}</option>
        ))}
      </select>
      <span className="fill" />
      <Selection row={row} />
    </footer>
  );
}

/** The index `by` steps on, round and round. */
function stepped(count: number, by: 1 | -1): number {
  const { match } = currentView();
  if (match === null) return by === 1 ? 0 : count - 1;
  return (match + by + count) % Math.max(1, count);
}

function Selection({ row }: { row: Row }) {
  const selection = useSelection();
  if (selection === null) return null;
  const { origin, octets, clipped } = selection;
  return (
    <span className="row" aria-live="polite">
      {formatBytes(octets.length)} selected{clipped && ", of the first turn"}
      {origin && <Start side={sideOf(row, origin.direction)} offset={origin.start} />}
      {/* pointer down would take the selection away */}
      <button
        type="button"
        className="small"
        onMouseDown={(event) => event.preventDefault()}
        onClick={() => void run("pattern.add")}
      >
        pattern…
      </button>
      <button
        type="button"
        className="small"
        title="search it everywhere (Shift+F)"
        onMouseDown={(event) => event.preventDefault()}
        onClick={() => void run("search.selection")}
      >
        search
      </button>
    </span>
  );
}

function Start({ side, offset }: { side: Side; offset: number }) {
  return (
    <span className={`mono ${side}`}>
      {ARROW[side]} {LETTER[side]} {hexOffset(offset)}
    </span>
  );
}
