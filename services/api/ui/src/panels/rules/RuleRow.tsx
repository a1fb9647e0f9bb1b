/** One hide rule, and how many streams it is about. */

import { useQuery } from "@tanstack/react-query";

import {
  request,
  type Params,
  type Pattern,
  type Schemas,
  type StreamPage,
} from "../../api/client";
import { keys } from "../../api/keys";
import { useTeamChange } from "../../api/useTeamChange";
import { formatCount } from "../../format/numbers";
import { visibleLine } from "../../format/visible";
import { DeleteButton } from "../DeleteButton";
import { describe, KIND_NAMES, type Hiding } from "../fields/HidingField";

const COUNT_MS = 5000; // 256 rules are counted again no more often than this

export function RuleRow(props: { rule: Schemas["HideRule"]; patterns: readonly Pattern[] }) {
  const { rule, patterns } = props;
  const change = useTeamChange(keys.rules);
  const count = useCount(rule);
  const path = `/api/hide-rules/${rule.id}`;
  const text = visibleLine(describe(rule, patterns));
  return (
    <tr data-row tabIndex={-1} data-off={!rule.enabled}>
      <td className="number">{rule.id}</td>
      <td>{KIND_NAMES[rule.kind]}</td>
      <td className="long">
        <bdi>{text.slice(KIND_NAMES[rule.kind].length + 1)}</bdi>
      </td>
      <td className="number">{count === undefined ? "" : formatCount(count)}</td>
      <td className="actions">
        <label className="panel-check">
          <input
            type="checkbox"
            data-main
            checked={rule.enabled}
            aria-label={`hide ${text}`}
            onChange={() =>
              change.mutate({ method: "PATCH", path, json: { enabled: !rule.enabled } })
            }
          />
          on
        </label>{" "}
        <DeleteButton
          what={`the rule ${text}`}
          onDelete={() => change.mutate({ method: "DELETE", path, done: `${text} is shown again` })}
        />
      </td>
    </tr>
  );
}

/** Streams that the rule is about, shown or hidden. */
function useCount(rule: Hiding): number | undefined {
  const params = paramsOf(rule);
  const { data } = useQuery({
    queryKey: ["rule-count", rule.kind, rule.value],
    queryFn: ({ signal }) =>
      request<StreamPage>("/api/streams", {
        params: { ...params, include_hidden: true, limit: 1 },
        signal,
      }),
    enabled: params !== null,
    staleTime: COUNT_MS,
    refetchInterval: COUNT_MS,
    retry: false,
  });
  return params === null ? 1 : data?.total;
}

/** The filter that finds what a rule hides; null for one stream. */
export function paramsOf({ kind, value }: Hiding): Params | null {
  if (kind === "stream") return null;
  return { [kind === "pattern" ? "pattern_id" : kind]: value };
}
