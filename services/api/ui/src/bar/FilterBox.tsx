/** The filter: one line of text, its terms drawn as chips behind it, faults underlined. */

import { useEffect, useId, useRef, useState, type KeyboardEvent } from "react";
import { flushSync } from "react-dom";

import { useCommands } from "../keys/useCommands";
import { sentenceOf } from "../notices/NoticeProvider";
import { parseFilter, type Filter } from "../view/filter";
import { suggest, take, type Suggestion } from "../view/suggest";
import { useFilterContext } from "../view/useFilter";
import { currentView, go, useViewOf } from "../view/useView";
import { Chips } from "./Chips";
import { SuggestionList } from "./SuggestionList";
import { useKnown } from "./useKnown";

const APPLY_MS = 300; // typing has paused

interface Props {
  /** The filter in effect. */
  filter: Filter;
  /** Why the server did not take its `data:` term. */
  refusal: Error | null;
}

export function FilterBox({ filter, refusal }: Props) {
  const q = useViewOf("q");
  const [text, setText] = useState(q);
  const [applied, setApplied] = useState(q);
  if (q !== applied) {
    setApplied(q);
    if (q !== text.trim()) setText(q); // changed elsewhere
  }
  const draft = parseFilter(text, useFilterContext(text));
  const input = useRef<HTMLInputElement>(null);
  const [caret, setCaret] = useState(0);
  const [scroll, setScroll] = useState(0);
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(-1);
  const known = useKnown(open);
  const found = suggest(text, caret, known);
  const shown = open ? found.items : [];
  const listId = useId();
  const faultId = useId();
  useCommands({ "filter.focus": () => input.current?.select() });

  // what is typed holds after a pause; content is only searched for on Enter
  const sameData = JSON.stringify(draft.data) === JSON.stringify(filter.data);
  useEffect(() => {
    if (text.trim() === q || !sameData) return;
    const timer = setTimeout(() => go({ q: text.trim() }), APPLY_MS);
    return () => clearTimeout(timer);
  }, [text, q, sameData]);

  const write = (next: string, at: number) => {
    setText(next);
    setCaret(at);
    setActive(-1);
    setOpen(true);
  };
  const accept = (item: Suggestion) => {
    const next = take(text, found, item);
    flushSync(() => write(next.text, next.caret)); // what is typed next comes behind it
    input.current?.focus();
    input.current?.setSelectionRange(next.caret, next.caret);
  };
  const onKey = (event: KeyboardEvent<HTMLInputElement>) => {
    const item = shown[active];
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const step = event.key === "ArrowDown" ? 1 : -1;
      if (!open) setOpen(true);
      else setActive(Math.max(-1, Math.min(shown.length - 1, active + step)));
    } else if (item !== undefined && (event.key === "Enter" || event.key === "Tab")) accept(item);
    else if (event.key === "Enter") {
      go({ q: text.trim() });
      setOpen(false);
    } else return;
    event.preventDefault();
  };

  const fault = faultOf(draft, refusal !== null && sameData ? sentenceOf(refusal) : null, caret);
  const waits = !sameData && draft.data !== null;
  return (
    <div className="filter" role="search">
      <Chips text={text} filter={draft} scroll={scroll} refused={refusal !== null && sameData} />
      <input
        ref={input}
        className="mono"
        type="text"
        role="combobox"
        aria-label="filter"
        aria-autocomplete="list"
        aria-expanded={shown.length > 0}
        aria-controls={listId}
        aria-activedescendant={active >= 0 ? `${listId}-${active}` : undefined}
        aria-invalid={fault !== null}
        aria-describedby={fault === null ? undefined : faultId}
        placeholder="filter: svc:http pat:flag text …   ( / )"
        autoComplete="off"
        spellCheck={false}
        maxLength={4096}
        value={text}
        onChange={(event) => write(event.target.value, event.target.selectionStart ?? 0)}
        onSelect={(event) => setCaret(event.currentTarget.selectionStart ?? 0)}
        onScroll={(event) => setScroll(event.currentTarget.scrollLeft)}
        onFocus={() => setOpen(true)}
        onBlur={() => {
          setOpen(false);
          setActive(-1);
          if (text.trim() !== currentView().q) go({ q: text.trim() });
        }}
        onKeyDown={onKey}
      />
      {text !== "" && (
        <button
          type="button"
          className="plain clear"
          aria-label="clear the filter"
          title="clear (0)"
          onClick={() => go({ q: "", search: "" })}
        >
          ×
        </button>
      )}
      {(open || fault !== null) && (
        <div className="under" data-open={open}>
          {fault !== null && (
            <p
              id={faultId}
              className="fault"
              style={{ marginLeft: `calc(${fault.start}ch - ${scroll}px)` }}
            >
              <span aria-hidden>↑ </span>
              {fault.text}
            </p>
          )}
          {waits && open && <p className="hint muted">Enter searches the content</p>}
          {shown.length > 0 && (
            <SuggestionList id={listId} items={shown} active={active} accept={accept} />
          )}
        </div>
      )}
    </div>
  );
}

/** The fault to tell: that of the term at the caret, else the first. */
function faultOf(filter: Filter, refusal: string | null, caret: number) {
  const faults = filter.faults.map(({ start, end, fault }) => ({ start, end, text: fault ?? "" }));
  const data = filter.terms.find((term) => term.key === "data");
  if (refusal !== null && data !== undefined)
    faults.push({ start: data.start + placeIn(refusal), end: data.end, text: refusal });
  return faults.find(({ start, end }) => start <= caret && caret <= end) ?? faults[0] ?? null;
}

/** Where in `data:/…/` the server says that its fault is. */
function placeIn(refusal: string): number {
  const place = /at position (\d+)/.exec(refusal)?.[1];
  return place === undefined ? 0 : "data:/".length + Number(place);
}
