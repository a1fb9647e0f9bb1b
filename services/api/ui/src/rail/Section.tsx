/** One group of the rail, and one line of it. */

import type { ReactNode } from "react";

import { formatCount, formatShort } from "../format/numbers";

interface SectionProps {
  title: string;
  more?: ReactNode;
  children: ReactNode;
}

export function Section({ title, more, children }: SectionProps) {
  return (
    <section>
      <h2>
        {title} {more}
      </h2>
      <ul>{children}</ul>
    </section>
  );
}

interface PickProps {
  picked: boolean;
  pick: () => void;
  title?: string | undefined;
  /** Streams; null = not known. */
  count?: number | null;
  lead?: ReactNode;
  name: string;
  children?: ReactNode;
}

/** A line that puts its term into the filter, or takes it out. */
export function Pick({ picked, pick, title, count, lead, name, children }: PickProps) {
  return (
    <button type="button" className="plain pick" aria-pressed={picked} title={title} onClick={pick}>
      <span className="lead">{lead}</span>
      <bdi className="name">{name}</bdi>
      {children}
      {count !== undefined && (
        <span className="count" title={count === null ? undefined : formatCount(count)}>
          {countText(count)}
        </span>
      )}
    </button>
  );
}

function countText(count: number | null): string {
  if (count === null) return "";
  return count < 100_000 ? formatCount(count) : formatShort(count);
}
