/** How the timeline is drawn: bars, a line, a lane of dots for each pattern; all times in UTC. */

import uPlot from "uplot";

import type { Pattern } from "../api/client";
import type { Timeline } from "../api/queries";
import type { Range } from "./range";

const LANE_PX = 7;
const LANES_MAX = 4; // patterns beyond share the last lane
const AXIS_PX = 18;
const BRUSH_MIN_PX = 4;
const EDGE_PX = 28; // half of a label, which would be cut off

interface Given {
  width: number;
  height: number;
  read: () => { buckets: Timeline | null; patterns: readonly Pattern[] };
  brushed: (range: Range | null) => void;
  /** The bucket under the pointer. */
  under: (bucket: number | null) => void;
}

/** Seconds, streams, bytes. A bucket is drawn at its middle. */
export function seriesOf(buckets: Timeline | null): uPlot.AlignedData {
  if (buckets === null) return [[], [], []];
  const { start_us, bucket_us, streams, bytes } = buckets;
  return [streams.map((_, i) => (start_us + (i + 0.5) * bucket_us) / 1e6), streams, bytes];
}

export function plotOptions({ width, height, read, brushed, under }: Given): uPlot.Options {
  return {
    width,
    height,
    padding: [2, EDGE_PX, 0, EDGE_PX],
    legend: { show: false },
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    cursor: {
      y: false,
      points: { show: false },
      drag: { x: true, y: false, setScale: false },
      bind: {
        dblclick: () => () => {
          brushed(null);
          return null;
        },
      },
    },
    scales: {
      x: { time: true, range: () => ends(read().buckets) },
      streams: { range: (_, __, highest) => [0, Math.max(1, highest) * 1.05] },
      bytes: { range: (_, __, highest) => [0, Math.max(1, highest) * 1.05] },
    },
    axes: [
      {
        size: AXIS_PX,
        gap: 2,
        font: "11px system-ui, sans-serif",
        stroke: () => color("--muted"),
        grid: { show: false },
        ticks: { size: 3, width: 1, stroke: () => color("--line") },
        space: 90,
        values: (_, splits, __, ___, step) =>
          read().buckets === null ? [] : splits.map((at) => timeText(at, step)),
      },
    ],
    series: [
      {},
      {
        scale: "streams",
        fill: () => color("--bars"),
        stroke: () => color("--bars"),
        width: 0,
        points: { show: false },
        ...barsPath(),
      },
      {
        scale: "bytes",
        stroke: () => color("--muted"),
        width: 1,
        points: { show: false },
      },
    ],
    hooks: {
      draw: [(plot) => drawMatches(plot, read())],
      setCursor: [(plot) => under(plot.cursor.idx ?? null)],
      setSelect: [
        (plot) => {
          const { left, width: wide } = plot.select;
          if (wide < BRUSH_MIN_PX) return;
          const since = Math.round(plot.posToVal(left, "x") * 1e6);
          const until = Math.round(plot.posToVal(left + wide, "x") * 1e6);
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          brushed({ since, until });
        },
      ],
    },
  };
}

function barsPath(): { paths?: uPlot.Series.PathBuilder } {
  const paths = uPlot.paths.bars?.({ size: [0.8, 14], align: 0 });
  return paths ? { paths } : {};
}

function ends(buckets: Timeline | null): [number, number] {
  if (buckets === null) return [0, 1];
  const { start_us, bucket_us, streams } = buckets;
  return [start_us / 1e6, (start_us + bucket_us * streams.length) / 1e6];
}

function drawMatches(plot: uPlot, { buckets, patterns }: ReturnType<Given["read"]>): void {
  if (buckets === null) return;
  const { ctx, bbox } = plot;
  const ratio = uPlot.pxRatio;
  const colors = new Map(patterns.map((each) => [each.id, each.color]));
  ctx.save();
  for (const [i, { pattern_id, counts }] of buckets.matches.entries()) {
    const y = bbox.top + (Math.min(i, LANES_MAX - 1) + 0.6) * LANE_PX * ratio;
    ctx.fillStyle = colors.get(pattern_id) || color("--muted");
    ctx.strokeStyle = color("--text");
    ctx.lineWidth = ratio * 0.75;
    const most = Math.max(...counts);
    for (const [at, count] of counts.entries()) {
      if (count === 0) continue;
      const seconds = (buckets.start_us + (at + 0.5) * buckets.bucket_us) / 1e6;
      const radius = (2 + 1.5 * Math.sqrt(count / most)) * ratio;
      ctx.beginPath();
      ctx.arc(plot.valToPos(seconds, "x", true), y, radius, 0, 2 * Math.PI);
      ctx.fill();
      ctx.stroke();
    }
  }
  ctx.restore();
}

/** As precise as the steps between the labels; the date where a day begins. */
export function timeText(seconds: number, step: number): string {
  const text = new Date(seconds * 1000).toISOString();
  if (step >= 86_400 || (seconds % 86_400 === 0 && step >= 60)) return text.slice(0, 10);
  if (step >= 60) return text.slice(11, 16);
  return step >= 1 ? text.slice(11, 19) : text.slice(11, 23);
}

function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name);
}
