/** Filters that this browser keeps under a name. */

import { useState, type KeyboardEvent, type SubmitEvent } from "react";

import { visibleLine } from "../format/visible";
import { prefs, usePrefs } from "../view/prefs";
import { go, useViewOf } from "../view/useView";
import { Pick, Section } from "./Section";

const NAME_MAX = 64;
const SAVED_MAX = 50;

export function Saved() {
  const { saved } = usePrefs();
  const q = useViewOf("q");
  const [naming, setNaming] = useState(false);
  const text = q.trim();
  const drop = (name: string) =>
    prefs.change({ saved: saved.filter((each) => each.name !== name) });
  const save = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget).get("name");
    const name = (typeof given === "string" ? given.trim() : "").slice(0, NAME_MAX) || text;
    const others = saved.filter((each) => each.name !== name);
    prefs.change({ saved: [...others, { name, q: text }].slice(-SAVED_MAX) });
    setNaming(false);
  };
  const leave = (event: KeyboardEvent) => {
    if (event.key !== "Escape") return;
    setNaming(false);
    event.stopPropagation();
  };
  const more = text !== "" && !naming && (
    <button
      type="button"
      className="plain link"
      aria-label="save the filter"
      onClick={() => setNaming(true)}
    >
      save
    </button>
  );
  return (
    <Section title="Saved" more={more}>
      {naming && (
        <li>
          <form onSubmit={save}>
            <input
              name="name"
              aria-label="name of the filter"
              placeholder={text}
              // it is asked for by a button, and what comes next is to type
              // eslint-disable-next-line jsx-a11y/no-autofocus
              autoFocus
              onKeyDown={leave}
            />
          </form>
        </li>
      )}
      {saved.map((each) => (
        <li key={each.name}>
          <Pick
            picked={text !== "" && each.q === text}
            pick={() => go({ q: each.q === text ? "" : each.q })}
            title={visibleLine(each.q)}
            name={visibleLine(each.name)}
          />
          <button
            type="button"
            className="plain switch"
            aria-label={`forget ${visibleLine(each.name)}`}
            onClick={() => drop(each.name)}
          >
            ×
          </button>
        </li>
      ))}
      {saved.length === 0 && !naming && <li className="none">none</li>}
    </Section>
  );
}
