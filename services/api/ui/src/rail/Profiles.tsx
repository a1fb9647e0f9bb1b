/** Profiles: kinds of streams. */

import { useQuery } from "@tanstack/react-query";

import { profilesQuery } from "../api/queries";
import { visibleLine } from "../format/visible";
import { run } from "../keys/useCommands";
import { toggleTerm, valueOf } from "../view/terms";
import { currentView, go, useViewOf } from "../view/useView";
import { Pick, Section } from "./Section";

export function Profiles() {
  const picked = valueOf(useViewOf("q"), "profile");
  const profiles = useQuery(profilesQuery()).data?.profiles ?? [];
  const more = (
    <button
      type="button"
      className="plain link"
      aria-label="edit profiles"
      onClick={() => run("panel.profiles")}
    >
      edit
    </button>
  );
  return (
    <Section title="Profiles" more={more}>
      {profiles
        .filter(({ enabled }) => enabled)
        .map(({ id, name, description }) => (
          <li key={id}>
            <Pick
              picked={picked === id}
              pick={() => go({ q: toggleTerm(currentView().q, "profile", id) })}
              title={visibleLine(description) || undefined}
              name={visibleLine(name || id)}
            />
          </li>
        ))}
    </Section>
  );
}
