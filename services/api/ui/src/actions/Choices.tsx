/** A dialog with things to do, one of which is done: by its number, by arrows and Enter, by a click. */

import { useRef, type KeyboardEvent } from "react";

import { Dialog } from "../panels/Dialog";
import "./actions.css";

export interface Choice {
  title: string;
  /** Why it cannot be done. */
  not?: string | undefined;
  act: () => void;
}

interface Props {
  title: string;
  choices: readonly Choice[];
  onClose: () => void;
}

export function Choices({ title, choices, onClose }: Props) {
  const list = useRef<HTMLUListElement>(null);
  const choose = (choice: Choice | undefined) => {
    if (choice === undefined || choice.not !== undefined) return;
    onClose();
    choice.act();
  };
  const press = (event: KeyboardEvent) => {
    const buttons = [...(list.current?.querySelectorAll("button") ?? [])].filter(
      (b) => !b.disabled,
    );
    const at = buttons.findIndex((button) => button === document.activeElement);
    const by = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
    if (by !== undefined) buttons[(at + by + buttons.length) % buttons.length]?.focus();
    else if (/^[1-9]$/.test(event.key)) choose(choices[Number(event.key) - 1]);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog title={title} size="small" onClose={onClose}>
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- its buttons are */}
      <ul ref={list} className="choices" onKeyDown={press}>
        {choices.map((choice, i) => (
          <li key={choice.title}>
            <button
              type="button"
              data-first
              disabled={choice.not !== undefined}
              onClick={() => choose(choice)}
            >
              <kbd aria-hidden="true">{i + 1}</kbd>
              <span>{choice.title}</span>
              {choice.not !== undefined && <span className="muted"> {choice.not}</span>}
            </button>
          </li>
        ))}
      </ul>
      {choices.length === 0 && <p className="muted">There is nothing to choose.</p>}
    </Dialog>
  );
}
