/** Streams and bytes over time, and where matches are; a time range is brushed here. */

import { useQuery } from "@tanstack/react-query";
import { useRef, type KeyboardEvent } from "react";

import type { Pattern } from "../api/client";
import { patternsQuery, timelineQuery } from "../api/queries";
import { useStaleTime } from "../view/flow";
import { withRange } from "../view/terms";
import { useFilter } from "../view/useFilter";
import { currentView, go } from "../view/useView";
import { earlier, later, wider, narrower, rangeOf, type Range } from "./range";
import { Chart } from "./Chart";
import { Legend } from "./Legend";
import { useBucketCount } from "./useBucketCount";
import "./timeline.css";

const NO_PATTERNS: Pattern[] = [];

function setRange(range: Range | null): void {
  go({ q: withRange(currentView().q, range) });
}

export function Timeline() {
  const { params, ready } = useFilter();
  const section = useRef<HTMLElement>(null);
  const count = useBucketCount(section);
  const staleTime = useStaleTime();
  const { data } = useQuery({ ...timelineQuery(params, count), staleTime, enabled: ready });
  const patterns = useQuery(patternsQuery()).data?.patterns ?? NO_PATTERNS;
  const ranged = params.since_us !== undefined || params.until_us !== undefined;
  const shown = data && (ranged || data.streams.some(Boolean)) ? data : null;
  const range = shown === null ? null : rangeOf(shown);

  const onKey = (event: KeyboardEvent) => {
    if (event.key !== "Escape" || !ranged) return;
    setRange(null);
    event.stopPropagation();
  };
  const step = (to: (range: Range) => Range) => () => range !== null && setRange(to(range));
  return (
    // Escape takes the range away, whichever of its controls has the focus
    // eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <section className="timeline" aria-label="Timeline" ref={section} onKeyDown={onKey}>
      <div className="timeline-head">
        <Legend buckets={shown} patterns={patterns} />
        <span className="zoom">
          <Button title="earlier" text="‹" act={step(earlier)} off={range === null} />
          <Button title="zoom in" text="+" act={step(narrower)} off={range === null} />
          <Button title="zoom out" text="−" act={step(wider)} off={range === null || !ranged} />
          <Button title="later" text="›" act={step(later)} off={range === null} />
          <Button title="all of the run" text="all" act={() => setRange(null)} off={!ranged} />
        </span>
      </div>
      <Chart buckets={shown} patterns={patterns} brushed={setRange} />
    </section>
  );
}

interface ButtonProps {
  title: string;
  text: string;
  act: () => void;
  off: boolean;
}

function Button({ title, text, act, off }: ButtonProps) {
  return (
    <button type="button" title={title} aria-label={title} disabled={off} onClick={act}>
      {text}
    </button>
  );
}
