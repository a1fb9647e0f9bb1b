/** What is being edited in a panel; when that is over, the focus is where it was before. */

import { useRef, useState } from "react";

interface Editing<T> {
  editing: T | null;
  edit: (what: T) => void;
  stop: () => void;
}

export function useEditing<T>(): Editing<T> {
  const [editing, setEditing] = useState<T | null>(null);
  const opener = useRef<Element | null>(null);
  return {
    editing,
    edit(what: T) {
      opener.current = document.activeElement;
      setEditing(what);
    },
    stop() {
      setEditing(null);
      if (opener.current instanceof HTMLElement) opener.current.focus();
    },
  };
}
