/** What lies behind the filter's text: a chip for each term, a wavy line under a faulty one. */

import type { Filter } from "../view/filter";

interface Props {
  text: string;
  filter: Filter;
  /** px by which the text is scrolled. */
  scroll: number;
  /** The server refused the `data:` term. */
  refused: boolean;
}

export function Chips({ text, filter, scroll, refused }: Props) {
  const parts: { text: string; chip: boolean; fault: boolean }[] = [];
  let at = 0;
  for (const { start, end, fault, key } of filter.terms) {
    parts.push({ text: text.slice(at, start), chip: false, fault: false });
    const faulty = fault !== null || (refused && key === "data");
    parts.push({ text: text.slice(start, end), chip: true, fault: faulty });
    at = end;
  }
  return (
    <div className="chips mono" aria-hidden>
      <div style={{ transform: `translateX(${-scroll}px)` }}>
        {parts.map((part, i) =>
          part.chip ? (
            <span key={i} className="chip" data-fault={part.fault}>
              {part.text}
            </span>
          ) : (
            part.text
          ),
        )}
      </div>
    </div>
  );
}
