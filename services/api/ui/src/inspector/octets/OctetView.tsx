/** Octets as text, hex dump or base64, with what is marked in them. */

import { memo, useCallback, useMemo } from "react";

import type { Mode } from "../../view/view";
import type { PatternLook } from "../matches/useMatches";
import type { Octets } from "./base64";
import { showIn, type Origin } from "./columns";
import { showBase64 } from "./encoded";
import { dump } from "./hex";
import type { Shown } from "./shown";
import { spansOf, type Mark, type Span } from "./spans";
import { showText } from "./text";
import "./octets.css";

interface Props {
  octets: Octets;
  mode: Mode;
  origin: Origin | null;
  group: string;
  marks?: readonly Mark[];
  patterns: ReadonlyMap<number, PatternLook>;
}

const UNMARKED: readonly Mark[] = [];

export const OctetView = memo(function OctetView(props: Props) {
  const { octets, mode, origin } = props;
  const start = origin?.start ?? 0;
  const view = useMemo(() => {
    if (mode === "hex") return dump(octets, start);
    return { shown: mode === "text" ? showText(octets) : showBase64(octets) };
  }, [octets, mode, start]);
  if ("shown" in view)
    return <ColumnView {...props} shown={view.shown} className="octets wrapped" />;
  return (
    <div className="octets dump">
      <pre className="offsets" aria-hidden="true">
        {view.offsets}
      </pre>
      <ColumnView {...props} shown={view.hex} className="hex" />
      <ColumnView {...props} shown={view.ascii} className="ascii" />
    </div>
  );
});

function ColumnView({
  shown,
  className,
  octets,
  origin,
  group,
  marks = UNMARKED,
  patterns,
}: Props & { shown: Shown; className: string }) {
  const spans = useMemo(
    () => spansOf(shown, origin?.start ?? 0, marks),
    [shown, origin?.start, marks],
  );
  const known = useCallback(
    (element: HTMLElement | null) => {
      if (element) showIn(element, { shown, octets, origin, group, kind: className });
    },
    [shown, octets, origin, group, className],
  );
  return (
    <pre className={className} data-octets="" ref={known}>
      {spans.map((span, i) => (
        <SpanView key={i} span={span} patterns={patterns} />
      ))}
    </pre>
  );
}

function SpanView({ span, patterns }: { span: Span; patterns: Props["patterns"] }) {
  if (span.patterns.length === 0 && !span.place) return span.text;
  const names = span.patterns.map((id) => patterns.get(id)?.name ?? `pattern ${id}`);
  const color = patterns.get(span.patterns[0] ?? 0)?.color;
  const kind = `${span.patterns.length > 0 ? "hit" : ""} ${span.place ? "place" : ""}`.trim();
  return (
    <mark
      className={kind}
      title={names.join(", ") || undefined}
      style={color ? { borderBottomColor: color } : undefined}
    >
      {span.text}
    </mark>
  );
}
