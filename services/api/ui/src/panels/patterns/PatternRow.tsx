/** One pattern and how it fares. */

import type { Pattern } from "../../api/client";
import { keys } from "../../api/keys";
import { formatCount } from "../../format/numbers";
import { visibleLine } from "../../format/visible";
import { withTerm } from "../../view/filter";
import { currentView, go } from "../../view/useView";
import { ShareBar } from "../ShareBar";
import { TeamRow } from "../TeamTable";
import { stateOf, termOf } from "./state";

interface Props {
  pattern: Pattern;
  all: readonly Pattern[];
  onEdit: () => void;
}

export function PatternRow({ pattern, all, onEdit }: Props) {
  const { id, name, kind, value, color, direction, services, enabled, status } = pattern;
  const shown = visibleLine(name);
  const show = () =>
    go({ q: withTerm(currentView().q, "pat", termOf(pattern, all)), panel: null }, { push: true });
  return (
    <TeamRow
      path={`/api/patterns/${id}`}
      list={keys.patterns}
      what={`pattern ${shown}`}
      enabled={enabled}
      does={`look for ${shown}`}
      onEdit={onEdit}
      deletion={{
        done: `deleted ${shown}`,
        ...(status.matches > 0 ? { asks: `with ${formatCount(status.matches)} matches?` } : {}),
      }}
    >
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
    </TeamRow>
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
