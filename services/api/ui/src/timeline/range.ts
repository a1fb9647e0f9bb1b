/** Time ranges: of what is shown, moved, widened; and what is in them, as a sentence. µs. */

import type { Pattern } from "../api/client";
import type { Timeline } from "../api/queries";
import { formatBytes, formatCount, formatDateTime, formatDuration } from "../format/numbers";
import { visibleLine } from "../format/visible";

export interface Range {
  since: number;
  until: number;
}

const NARROWEST_US = 10;

export function rangeOf({ start_us, bucket_us, streams }: Timeline): Range {
  return { since: start_us, until: start_us + bucket_us * streams.length };
}

/** The middle half. */
export function narrower({ since, until }: Range): Range {
  const quarter = Math.floor((until - since) / 4);
  return until - since <= NARROWEST_US
    ? { since, until }
    : { since: since + quarter, until: until - quarter };
}

/** As much again on both sides together. */
export function wider({ since, until }: Range): Range {
  const half = Math.ceil((until - since) / 2);
  return { since: since - half, until: until + half };
}

export function earlier(range: Range): Range {
  return moved(range, -0.5);
}

export function later(range: Range): Range {
  return moved(range, 0.5);
}

function moved({ since, until }: Range, part: number): Range {
  const by = Math.round((until - since) * part);
  return { since: since + by, until: until + by };
}

/** What the picture shows, for who does not see it. */
export function sentenceAbout(
  buckets: Timeline | null,
  patterns: readonly Pick<Pattern, "id" | "name">[],
): string {
  if (buckets === null) return "nothing to show over time";
  const { since, until } = rangeOf(buckets);
  const most = Math.max(...buckets.streams);
  const busiest = since + buckets.streams.indexOf(most) * buckets.bucket_us;
  const names = new Map(patterns.map(({ id, name }) => [id, name]));
  const matches = buckets.matches.map(({ pattern_id, counts }) => {
    const name = visibleLine(names.get(pattern_id) ?? `pattern ${pattern_id}`);
    return `${formatCount(sum(counts))} with a match of ${name}`;
  });
  return [
    `${formatCount(sum(buckets.streams))} streams and ${formatBytes(sum(buckets.bytes))}`,
    `from ${formatDateTime(since)} to ${formatDateTime(until)} in steps of ` +
      formatDuration(buckets.bucket_us),
    `most at ${formatDateTime(busiest)}: ${formatCount(most)}`,
    ...matches,
  ].join("; ");
}

export function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
