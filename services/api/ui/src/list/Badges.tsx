/** What is remarkable about a stream: matches, what is missing, encryption, how it ended, notes, why
 * hidden. */

import { formatCount, formatShort } from "../format/numbers";
import { visibleLine } from "../format/visible";
import { MIDSTREAM, SNAPLEN_CUT } from "../format/lacks";
import type { Row } from "./row";
import type { PatternsById } from "./StreamRow";

const DOTS_MAX = 4;
const TEXT_MAX = 60;

export function Badges({ row, patterns }: { row: Row; patterns: PatternsById }) {
  const { comment, hidden_reason: reason } = row;
  const encrypted = row.service.name === "tls" || row.service.name === "https";
  return (
    <>
      {row.match_count > 0 && <Matches row={row} patterns={patterns} />}
      {row.gaps > 0 && (
        <span className="badge warning" title={`missing ${formatCount(row.gap_bytes)} bytes`}>
          ⚠ gap
        </span>
      )}
      {row.silent !== null && (
        <span className="badge warning" title={`no packet of the ${row.silent} was captured`}>
          ⚠ one-sided
        </span>
      )}
      {row.midstream && (
        <span className="badge warning" title={MIDSTREAM}>
          ⚠ midstream
        </span>
      )}
      {row.snaplen_cut && (
        <span className="badge warning" title={SNAPLEN_CUT}>
          ⚠ cut
        </span>
      )}
      {row.conflicts > 0 && (
        <span
          className="badge warning"
          title={`${formatCount(row.conflicts)} retransmissions differ from what came first`}
        >
          ⚠ differs
        </span>
      )}
      {encrypted && <span className="badge">TLS</span>}
      {row.status !== "closed" && <span className="badge muted">{row.status}</span>}
      {row.tags.map((tag) => (
        <bdi key={tag} className="badge tag">
          {visibleLine(tag)}
        </bdi>
      ))}
      {comment !== "" && (
        <span className="badge remark" title={visibleLine(comment)}>
          # <bdi>{visibleLine(comment.slice(0, TEXT_MAX))}</bdi>
        </span>
      )}
      {row.hidden && (
        <span className="badge muted" title={visibleLine(reason ?? "hidden")}>
          ⊘ <bdi>{visibleLine((reason ?? "hidden").slice(0, TEXT_MAX))}</bdi>
        </span>
      )}
    </>
  );
}

/** A dot in the colour of each pattern, the number, and the names for who does not see colours. */
function Matches({ row, patterns }: { row: Row; patterns: PatternsById }) {
  const found = row.pattern_ids.map(
    (id) => patterns.get(id) ?? { name: `pattern ${id}`, color: "" },
  );
  const names = found.map(({ name }) => visibleLine(name)).join(", ");
  return (
    <>
      <span className="badge" title={`${formatCount(row.match_count)} matches: ${names}`}>
        {found.slice(0, DOTS_MAX).map(({ color }, i) => (
          <span key={i} className="dot" style={color ? { background: color } : {}} />
        ))}
        {formatShort(row.match_count)}
      </span>
      <bdi className="badge names">{names}</bdi>
    </>
  );
}
