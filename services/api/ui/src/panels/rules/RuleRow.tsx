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
import { formatCount } from "../../format/numbers";
import { visibleLine } from "../../format/visible";
import { TeamRow } from "../TeamTable";
import { describe, KIND_NAMES, type Hiding } from "../fields/HidingField";

const COUNT_MS = 5000; // 256 rules are counted again no more often than this

export function RuleRow(props: { rule: Schemas["HideRule"]; patterns: readonly Pattern[] }) {
  const { rule, patterns } = props;
  const count = useCount(rule);
  const text = visibleLine(describe(rule, patterns));
  return (
    <TeamRow
      path={`/api/hide-rules/${rule.id}`}
      list={keys.rules}
      what={`the rule ${text}`}
      enabled={rule.enabled}
      does={`hide ${text}`}
      deletion={{ done: `${text} is shown again` }}
    >
      <td className="number">{rule.id}</td>
      <td>{KIND_NAMES[rule.kind]}</td>
      <td className="long">
        <bdi>{text.slice(KIND_NAMES[rule.kind].length + 1)}</bdi>
      </td>
      <td className="number">{count === undefined ? "" : formatCount(count)}</td>
    </TeamRow>
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
