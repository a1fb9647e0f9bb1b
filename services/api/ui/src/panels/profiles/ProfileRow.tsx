/** One profile: which streams, and what for. */

import type { Pattern } from "../../api/client";
import { keys } from "../../api/keys";
import { useTeamChange } from "../../api/useTeamChange";
import { visibleLine } from "../../format/visible";
import { withTerm } from "../../view/filter";
import { currentView, go } from "../../view/useView";
import { DeleteButton } from "../DeleteButton";
import type { Profile } from "../../api/queries";

const BUILT_IN = new Set(["http", "https", "tls", "dns", "websocket", "binary", "matched"]);
const SOURCES = { built_in: "built in", file: "file", api: "here" };

interface Props {
  profile: Profile;
  patterns: readonly Pattern[];
  onEdit: () => void;
}

export function ProfileRow({ profile, patterns, onEdit }: Props) {
  const { id, enabled, source } = profile;
  const change = useTeamChange(keys.profiles);
  const path = `/api/profiles/${id}`;
  const name = visibleLine(profile.name || id);
  const overridden = source === "api" && BUILT_IN.has(id);
  const show = () =>
    go({ q: withTerm(currentView().q, "profile", id), panel: null }, { push: true });
  return (
    <tr data-row tabIndex={-1} data-off={!enabled}>
      <td className="number">{profile.priority}</td>
      <td className="long" title={visibleLine(profile.description)}>
        <bdi>{name}</bdi> <span className="muted">{id}</span>
      </td>
      <td>{overridden ? "built in, changed here" : SOURCES[source]}</td>
      <td className="long" title={visibleLine(streamsOf(profile, patterns))}>
        <bdi>{visibleLine(streamsOf(profile, patterns))}</bdi>
      </td>
      <td className="long">{looksOf(profile)}</td>
      <td className="actions">
        <label className="panel-check">
          <input
            type="checkbox"
            checked={enabled}
            aria-label={`use ${name}`}
            onChange={() => change.mutate({ method: "PATCH", path, json: { enabled: !enabled } })}
          />
          on
        </label>{" "}
        <button type="button" onClick={show} aria-label={`list the streams of ${name}`}>
          list
        </button>
        <button type="button" data-main onClick={onEdit} aria-label={`edit ${name}`}>
          edit
        </button>
        {source === "api" && (
          <DeleteButton
            what={`profile ${name}`}
            label={overridden ? "reset" : "delete"}
            asks={overridden ? "as it was?" : "really?"}
            onDelete={() => change.mutate({ method: "DELETE", path })}
          />
        )}
      </td>
    </tr>
  );
}

/** Which streams, in words: all of it must hold. */
export function streamsOf(profile: Profile, patterns: readonly Pattern[]): string {
  const named = (id: number) => patterns.find((pattern) => pattern.id === id)?.name ?? String(id);
  const parts = [
    profile.protocol ?? "",
    profile.services.join(" or "),
    profile.ports.length > 0 ? `port ${profile.ports.join(" or ")}` : "",
    profile.content_kind ? `${profile.content_kind} content` : "",
    profile.pattern_ids.length > 0 ? `pattern ${profile.pattern_ids.map(named).join(" or ")}` : "",
    profile.only_matched ? "with a match" : "",
  ];
  return parts.filter(Boolean).join(", ") || "all";
}

function looksOf({ default_direction, default_mode, default_transforms }: Profile): string {
  const who = default_direction === "any" ? "" : ` of the ${default_direction}`;
  return [`${default_mode}${who}`, ...default_transforms].join(", ");
}
