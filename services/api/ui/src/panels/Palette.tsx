/** Commands by name (WAI-ARIA's combobox with a list). */

import { useId, useState, type KeyboardEvent } from "react";
import { flushSync } from "react-dom";

import { Kbd } from "../keys/Kbd";
import { COMMANDS, type CommandId } from "../keys/registry";
import { canRun, useCommands } from "../keys/useCommands";
import { useSay } from "../notices/NoticeProvider";
import { Dialog } from "./Dialog";
import "./palette.css";
import { ranked } from "./palette";

const NOT_LISTED = new Set<CommandId>(["page.palette", "back", "filter.service"]);

interface Props {
  run: (id: CommandId) => boolean;
}

export function Palette({ run }: Props) {
  const [open, setOpen] = useState<ReadonlySet<CommandId> | null>(null);
  const say = useSay();
  // which of them can be done is asked before the palette itself takes the keys
  const show = () =>
    setOpen(
      new Set(COMMANDS.map(({ id }) => id).filter((id) => canRun(id) && !NOT_LISTED.has(id))),
    );
  useCommands({ "page.palette": () => (open ? setOpen(null) : show()) });
  if (open === null) return null;
  const choose = (id: CommandId) => {
    flushSync(() => setOpen(null)); // the focus is back before the command moves it
    if (!run(id)) say("that cannot be done here", { trouble: true });
  };
  return (
    <Dialog title="Commands" size="palette" onClose={() => setOpen(null)}>
      <Choices possible={open} choose={choose} />
    </Dialog>
  );
}

interface ChoicesProps {
  possible: ReadonlySet<CommandId>;
  choose: (id: CommandId) => void;
}

function Choices({ possible, choose }: ChoicesProps) {
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(0);
  const listId = useId();
  const found = ranked(
    typed,
    COMMANDS.filter(({ id }) => possible.has(id)),
  );
  const place = Math.min(at, found.length - 1);
  const optionId = (index: number) => `${listId}-${index}`;
  const move = (to: number) => {
    const next = (to + found.length) % Math.max(1, found.length);
    setAt(next);
    document.getElementById(optionId(next))?.scrollIntoView({ block: "nearest" });
  };
  const press = (event: KeyboardEvent) => {
    const chosen = found[place];
    if (event.key === "ArrowDown") move(place + 1);
    else if (event.key === "ArrowUp") move(place - 1);
    else if (event.key === "Enter" && chosen) choose(chosen.id);
    else return;
    event.preventDefault();
  };
  return (
    <>
      <input
        className="palette-input"
        role="combobox"
        aria-label="command"
        aria-expanded="true"
        aria-autocomplete="list"
        aria-controls={listId}
        aria-activedescendant={place >= 0 ? optionId(place) : undefined}
        data-first
        placeholder="what to do"
        spellCheck={false}
        autoComplete="off"
        value={typed}
        onChange={(event) => {
          setTyped(event.target.value);
          setAt(0);
        }}
        onKeyDown={press}
      />
      <div id={listId} className="palette-list" role="listbox" aria-label="commands">
        {found.map(({ id, title, group, bindings }, index) => (
          // the keyboard is the combobox's
          // eslint-disable-next-line jsx-a11y/click-events-have-key-events
          <div
            key={id}
            id={optionId(index)}
            role="option"
            tabIndex={-1}
            aria-selected={index === place}
            onClick={() => choose(id)}
          >
            <span>{title}</span>
            <span className="muted">{group}</span>
            <span className="bindings">
              {bindings.map((binding) => (
                <Kbd key={binding} binding={binding} />
              ))}
            </span>
          </div>
        ))}
      </div>
      <p className="spoken-only" role="status">
        {`${found.length} commands`}
      </p>
      {found.length === 0 && <p className="empty">No command of this name can be done here.</p>}
    </>
  );
}
