/** What the bars, the line and the dots are. The chart writes what is under the pointer here. */

import type { Pattern } from "../api/client";
import type { Timeline } from "../api/queries";
import { formatBytes, formatCount, formatDuration } from "../format/numbers";
import { visibleLine } from "../format/visible";

interface Props {
  buckets: Timeline | null;
  patterns: readonly Pattern[];
}

export function Legend({ buckets, patterns }: Props) {
  if (buckets === null) return <span className="muted">streams over time</span>;
  const found = new Set(buckets.matches.map((each) => each.pattern_id));
  return (
    <span className="legend">
      <span>
        <span className="key-bars" aria-hidden>
          ▮
        </span>{" "}
        streams ≤ {formatCount(Math.max(...buckets.streams))}
      </span>
      <span>
        <span className="key-line" aria-hidden>
          ─
        </span>{" "}
        bytes ≤ {formatBytes(Math.max(...buckets.bytes))}
      </span>
      <span className="muted">
        per {formatDuration(buckets.bucket_us)}
        {buckets.earlier ? `, ${formatCount(buckets.earlier)} began earlier` : ""}
      </span>
      {patterns
        .filter(({ id }) => found.has(id))
        .map(({ id, name, color }) => (
          <span key={id}>
            <span className="dot" style={color ? { background: color } : {}} />
            <bdi>{visibleLine(name)}</bdi>
          </span>
        ))}
    </span>
  );
}
