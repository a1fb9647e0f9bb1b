/** One pattern and how it fares. */

import type { Pattern } from "../../api/client";
import { keys } from "../../api/keys";
import { useTeamChange } from "../../api/useTeamChange";
import { formatCount } from "../../format/numbers";
import { visibleLine } from "../../format/visible";
import { withTerm } from "../../view/filter";
import { currentView, go } from "../../view/useView";
import { DeleteButton } from "../DeleteButton";
import { ShareBar } from "../ShareBar";
import { stateOf, termOf } from "./state";

interface Props {
  pattern: Pattern;
  all: readonly Pattern[];
  onEdit: () => void;
}

export function PatternRow({ pattern, all, onEdit }: Props) {
  const { id, name, kind, value, color, direction, services, enabled, status } = pattern;
  const change = useTeamChange(keys.patterns);
  const path = `/api/patterns/${id}`;
  const shown = visibleLine(name);
  const show = () =>
    go({ q: withTerm(currentView().q, "pat", termOf(pattern, all)), panel: null }, { push: true });
  return (
    <tr data-row tabIndex={-1} data-off={!enabled}>
      <td className="long" title={shown}>
        <span className="swatch" style={{ background: color }} aria-hidden="true" />{" "}
        <bdi>{shown}</bdi>
      </td>
      <td>{kind}</td>
      <td className="long mono" title={visibleLine(value)}>
        <bdi>{visibleLine(value.slice(0, 200))}</bdi>
      </td>
      <td>{direction === "any" ? "both" : direction}</td>
      <td className="long" title={services.join(", ")}>
        {services.join(", ") || "all"}
      </td>
      <td>
        <State pattern={pattern} />
      </td>
      <td className="number">
        <button type="button" className="plain" onClick={show} disabled={status.matches === 0}>
          {formatCount(status.matches)}
          <span className="spoken-only"> matches of {shown}: show their streams</span>
        </button>
      </td>
      <td className="actions">
        <label className="panel-check">
          <input
            type="checkbox"
            checked={enabled}
            aria-label={`look for ${shown}`}
            onChange={() => change.mutate({ method: "PATCH", path, json: { enabled: !enabled } })}
          />
          on
        </label>{" "}
        <button type="button" data-main onClick={onEdit} aria-label={`edit ${shown}`}>
          edit
        </button>
        <DeleteButton
          what={`pattern ${shown}`}
          asks={status.matches > 0 ? `with ${formatCount(status.matches)} matches?` : "really?"}
          onDelete={() => change.mutate({ method: "DELETE", path, done: `deleted ${shown}` })}
        />
      </td>
    </tr>
  );
}

function State({ pattern }: { pattern: Pattern }) {
  const { text, trouble, progress, short } = stateOf(pattern);
  return (
    <span className={trouble ? "warning" : ""}>
      {progress !== null && <ShareBar share={progress} />}
      {trouble && "⚠ "}
      {visibleLine([text, ...short].join("; "))}
    </span>
  );
}
