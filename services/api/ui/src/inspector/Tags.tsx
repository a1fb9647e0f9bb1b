/** The team's tags on a stream. */

import { useRef, useState, type KeyboardEvent } from "react";

import { useStreamActions } from "../actions/useStreamActions";
import { visibleLine } from "../format/visible";
import { leave } from "./leave";
import type { Row } from "./useStream";

const TAG_MAX = 64;
const TAGS_MAX = 32;

export function Tags({ row }: { row: Row }) {
  const { setTags } = useStreamActions();
  const [text, setText] = useState("");
  const discard = useRef(false);
  const add = () => {
    const tag = discard.current ? "" : tagOf(text);
    discard.current = false;
    setText("");
    if (tag && !row.tags.includes(tag) && row.tags.length < TAGS_MAX)
      void setTags(row, [...row.tags, tag]);
  };
  const press = (event: KeyboardEvent<HTMLInputElement>) => {
    event.stopPropagation();
    if (event.key === "Backspace" && text === "" && row.tags.length > 0)
      void setTags(row, row.tags.slice(0, -1));
    if (event.key !== "Enter" && event.key !== "Escape") return;
    event.preventDefault();
    if (event.key === "Enter" && text !== "") add();
    else {
      discard.current = true;
      leave(event.currentTarget);
    }
  };
  return (
    <span className="tags">
      {row.tags.map((tag) => (
        <button
          key={tag}
          type="button"
          className="tag"
          title="take this tag away"
          aria-label={`take the tag ${visibleLine(tag)} away`}
          onClick={() =>
            void setTags(
              row,
              row.tags.filter((other) => other !== tag),
            )
          }
        >
          <bdi>{visibleLine(tag)}</bdi> ×
        </button>
      ))}
      <input
        className="add-tag"
        data-field="tag"
        aria-label="add a tag"
        placeholder="tag (+)"
        maxLength={TAG_MAX}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={press}
        onBlur={add}
      />
    </span>
  );
}

/** As the server keeps it: lower case, single spaces, none around it. */
function tagOf(text: string): string {
  return text.split(/\s+/).filter(Boolean).join(" ").toLowerCase();
}
