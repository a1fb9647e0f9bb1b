/** The team's comment on a stream. Enter keeps it, Escape leaves it as it was. */

import { useRef, useState } from "react";

import { useStreamActions } from "../actions/useStreamActions";
import { visible } from "../format/visible";
import { leave } from "./leave";
import type { Row } from "./useStream";

const COMMENT_MAX = 4096;

export function Comment({ row }: { row: Row }) {
  const { setComment } = useStreamActions();
  const [text, setText] = useState<string | null>(null); // null: nobody writes
  const discard = useRef(false);
  const keep = () => {
    if (!discard.current && text !== null && text !== row.comment) void setComment(row, text);
    discard.current = false;
    setText(null);
  };
  return (
    <textarea
      className="comment"
      data-field="comment"
      aria-label="comment"
      placeholder="comment (#)"
      rows={1}
      maxLength={COMMENT_MAX}
      value={text ?? visible(row.comment)}
      onFocus={() => setText(row.comment)}
      onChange={(event) => setText(event.target.value)}
      onBlur={keep}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === "Escape" || (event.key === "Enter" && !event.shiftKey)) {
          event.preventDefault();
          discard.current = event.key === "Escape";
          leave(event.currentTarget);
        }
      }}
    />
  );
}
