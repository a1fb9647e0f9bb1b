/** The picture: uPlot in an element of its own. */

import { memo, useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

import type { Pattern } from "../api/client";
import type { Timeline } from "../api/queries";
import { formatBytes, formatCount, formatDateTime } from "../format/numbers";
import { visibleLine } from "../format/visible";
import { plotOptions, seriesOf } from "./plot";
import { sentenceAbout, type Range } from "./range";

const HEIGHT_PX = 62;

interface Props {
  buckets: Timeline | null;
  patterns: readonly Pattern[];
  /** null: the whole run. */
  brushed: (range: Range | null) => void;
}

/** Not again for each selection: it reads all buckets. */
export const Chart = memo(function Chart({ buckets, patterns, brushed }: Props) {
  const element = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [under, setUnder] = useState<number | null>(null);
  const latest = useRef({ buckets, patterns, brushed });
  useEffect(() => {
    latest.current = { buckets, patterns, brushed };
  });

  useEffect(() => {
    const place = element.current;
    if (place === null) return;
    const options = plotOptions({
      width: Math.max(100, place.clientWidth),
      height: HEIGHT_PX,
      read: () => latest.current,
      brushed: (range) => latest.current.brushed(range),
      under: setUnder,
    });
    const made = new uPlot(options, seriesOf(latest.current.buckets), place);
    plot.current = made;
    const sizes = new ResizeObserver(() =>
      made.setSize({ width: Math.max(100, place.clientWidth), height: HEIGHT_PX }),
    );
    sizes.observe(place);
    const theme = new MutationObserver(() => made.redraw(false, true));
    theme.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => {
      sizes.disconnect();
      theme.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, []);
  useEffect(() => plot.current?.setData(seriesOf(buckets)), [buckets, patterns]);

  return (
    <div className="chart">
      <div ref={element} role="img" aria-label={sentenceAbout(buckets, patterns)} />
      <span className="under-pointer" aria-hidden>
        {buckets !== null && under !== null && wordsAt(buckets, under, patterns)}
      </span>
    </div>
  );
});

function wordsAt(buckets: Timeline, at: number, patterns: readonly Pattern[]): string {
  const names = new Map(patterns.map(({ id, name }) => [id, name]));
  const matches = buckets.matches
    .filter(({ counts }) => (counts[at] ?? 0) > 0)
    .map(({ pattern_id, counts }) => {
      const name = visibleLine(names.get(pattern_id) ?? String(pattern_id));
      return `${name} ${counts[at] ?? 0}`;
    });
  return [
    formatDateTime(buckets.start_us + at * buckets.bucket_us).slice(0, 23),
    `${formatCount(buckets.streams[at] ?? 0)} streams`,
    formatBytes(buckets.bytes[at] ?? 0),
    ...matches,
  ].join(" · ");
}
