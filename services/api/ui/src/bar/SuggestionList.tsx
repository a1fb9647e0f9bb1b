/** What could be written next. */

import { formatCount } from "../format/numbers";
import { visibleLine } from "../format/visible";
import type { Suggestion } from "../view/suggest";

interface Props {
  id: string;
  items: readonly Suggestion[];
  active: number;
  accept: (item: Suggestion) => void;
}

export function SuggestionList({ id, items, active, accept }: Props) {
  return (
    <div id={id} role="listbox" aria-label="suggestions" className="suggestions">
      {items.map((item, i) => (
        // the input keeps the focus and has the keys
        // eslint-disable-next-line jsx-a11y/click-events-have-key-events
        <div
          key={item.text}
          id={`${id}-${i}`}
          role="option"
          tabIndex={-1}
          aria-selected={i === active}
          onMouseDown={(event) => event.preventDefault()}
          onClick={() => accept(item)}
        >
          <bdi className="mono">{visibleLine(item.text)}</bdi>
          <bdi className="muted">{visibleLine(item.title)}</bdi>
          <span className="muted">{item.count === null ? "" : formatCount(item.count)}</span>
        </div>
      ))}
    </div>
  );
}
