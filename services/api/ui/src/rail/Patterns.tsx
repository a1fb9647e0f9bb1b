/** Patterns: which streams have a match, and whether they are looked for. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { request, type Pattern } from "../api/client";
import { keys } from "../api/keys";
import { facetsQuery, patternsQuery, type ListParams } from "../api/queries";
import { visibleLine } from "../format/visible";
import { run } from "../keys/useCommands";
import { sentenceOf, useSay } from "../notices/NoticeProvider";
import { useStaleTime } from "../view/flow";
import { toggleTerm } from "../view/terms";
import { currentView, go } from "../view/useView";
import { Pick, Section } from "./Section";

const VALUE_MAX = 200;

export function Patterns({ params, ready }: { params: ListParams; ready: boolean }) {
  const { pattern_id: picked, ...others } = params;
  const staleTime = useStaleTime();
  const patterns = useQuery(patternsQuery()).data?.patterns ?? [];
  const { data } = useQuery({ ...facetsQuery(others), staleTime, enabled: ready });
  const counts = new Map(data?.patterns.map((each) => [each.pattern_id, each.streams]));
  const names = patterns.map(({ name }) => name);
  return (
    <Section title="Patterns" more={<More />}>
      {patterns.map((pattern) => (
        <li key={pattern.id} data-off={!pattern.enabled}>
          <Pick
            picked={picked === pattern.id}
            pick={() => go({ q: toggleTerm(currentView().q, "pat", termOf(pattern, names)) })}
            title={`${pattern.kind}: ${visibleLine(pattern.value.slice(0, VALUE_MAX))}${stateOf(pattern)}`}
            lead={
              <span className="dot" style={pattern.color ? { background: pattern.color } : {}} />
            }
            name={visibleLine(pattern.name)}
            count={pattern.enabled ? (counts.get(pattern.id) ?? (data ? 0 : null)) : null}
          />
          <Switch pattern={pattern} />
        </li>
      ))}
      {patterns.length === 0 && <li className="none">none</li>}
    </Section>
  );
}

/** Its name, unless another one has the same. */
function termOf({ id, name }: Pattern, names: readonly string[]): string {
  return names.filter((each) => each === name).length > 1 ? String(id) : name;
}

function stateOf({ status }: Pattern): string {
  if (status.state === "active" || status.state === "disabled") return "";
  const part = status.state === "scanning" ? ` ${Math.floor(status.progress * 100)} %` : "";
  return ` (${status.state}${part})${status.trouble ? `: ${status.trouble}` : ""}`;
}

function More() {
  return (
    <button
      type="button"
      className="plain link"
      aria-label="edit patterns"
      onClick={() => run("panel.patterns")}
    >
      edit
    </button>
  );
}

function Switch({ pattern }: { pattern: Pattern }) {
  const client = useQueryClient();
  const say = useSay();
  const change = useMutation({
    mutationFn: (enabled: boolean) =>
      request<Pattern>(`/api/patterns/${pattern.id}`, { method: "PATCH", json: { enabled } }),
    onSettled: () => client.invalidateQueries({ queryKey: keys.patterns }),
    onError: (error) => say(sentenceOf(error), { trouble: true }),
  });
  const on = change.isPending ? change.variables : pattern.enabled;
  return (
    <button
      type="button"
      className="plain switch"
      role="switch"
      aria-checked={on}
      aria-label={`look for ${visibleLine(pattern.name)}`}
      onClick={() => change.mutate(!on)}
    >
      {on ? "on" : "off"}
    </button>
  );
}
