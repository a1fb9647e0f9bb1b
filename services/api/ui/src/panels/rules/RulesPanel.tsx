/** Streams that nobody needs to see, and why. */

import { useQuery } from "@tanstack/react-query";
import { useId, useState, type SubmitEvent } from "react";

import { request, type StreamPage } from "../../api/client";
import { keys } from "../../api/keys";
import { hideRulesQuery, patternsQuery } from "../../api/queries";
import { useTeamChange } from "../../api/useTeamChange";
import { formatCount } from "../../format/numbers";
import { visibleLine } from "../../format/visible";
import { sentenceOf } from "../../notices/NoticeProvider";
import { withTerm } from "../../view/filter";
import { currentView, go } from "../../view/useView";
import { HidingField, type Hiding } from "../fields/HidingField";
import { TeamTable } from "../TeamTable";
import { RuleRow } from "./RuleRow";

const COLUMNS = [{ number: "rule" }, "hides by", "value", { number: "streams of it" }];

const NOTHING =
  "No rules. A rule leaves streams out of the list, such as those of the checker; they are " +
  "analysed and kept all the same.";

export function RulesPanel() {
  const { data, error } = useQuery(hideRulesQuery());
  const patterns = useQuery(patternsQuery()).data?.patterns ?? [];
  const rules = data?.hide_rules ?? [];
  return (
    <>
      <HiddenLine />
      <NewRule />
      <TeamTable columns={COLUMNS} error={error} empty={data && rules.length === 0 && NOTHING}>
        {rules.map((rule) => (
          <RuleRow key={rule.id} rule={rule} patterns={patterns} />
        ))}
      </TeamTable>
    </>
  );
}

function HiddenLine() {
  const { data } = useQuery({
    queryKey: [...keys.streams, "hidden"],
    queryFn: ({ signal }) => request<StreamPage>("/api/streams", { params: { limit: 1 }, signal }),
  });
  const show = () =>
    go({ q: withTerm(currentView().q, "hidden", "yes"), panel: null }, { push: true });
  return (
    <div className="toolbar">
      <span className="grow" aria-live="polite">
        {data &&
          `${formatCount(data.hidden)} of ${formatCount(data.hidden + data.total)} streams are hidden`}
        <span className="muted"> · by rules, or by hand; for everybody</span>
      </span>
      <button type="button" onClick={show} disabled={!data || data.hidden === 0}>
        list them too
      </button>
    </div>
  );
}

function NewRule() {
  const [hiding, setHiding] = useState<Hiding>({ kind: "service", value: "" });
  const patterns = useQuery(patternsQuery()).data?.patterns ?? [];
  const change = useTeamChange(keys.rules, { quiet: true });
  const faultId = useId();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    change.mutate(
      { method: "POST", path: "/api/hide-rules", json: hiding },
      { onSuccess: () => setHiding({ kind: hiding.kind, value: "" }) },
    );
  };
  return (
    <form className="form" onSubmit={submit} aria-describedby={faultId}>
      <HidingField hiding={hiding} patterns={patterns} onChange={setHiding} />
      <div className="toolbar end">
        <button type="submit" disabled={change.isPending}>
          hide
        </button>
      </div>
      <p id={faultId} className="fault wide" role="alert">
        {change.error && visibleLine(sentenceOf(change.error))}
      </p>
    </form>
  );
}
