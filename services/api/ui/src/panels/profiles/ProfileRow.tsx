/** One profile: which streams, and what for. */

import type { Pattern } from "../../api/client";
import { keys } from "../../api/keys";
import { visibleLine } from "../../format/visible";
import { withTerm } from "../../view/filter";
import { currentView, go } from "../../view/useView";
import { TeamRow } from "../TeamTable";
import type { Profile } from "../../api/queries";

const BUILT_IN = new Set(["http", "https", "tls", "dns", "websocket", "binary", "matched"]);
const SOURCES = { built_in: "built in", file: "file", api: "here" };

const RESET = { label: "reset", asks: "as it was?" };

interface Props {
  profile: Profile;
  patterns: readonly Pattern[];
  onEdit: () => void;
}

export function ProfileRow({ profile, patterns, onEdit }: Props) {
  const { id, enabled, source } = profile;
  const name = visibleLine(profile.name || id);
  const overridden = source === "api" && BUILT_IN.has(id);
  const show = () =>
    go({ q: withTerm(currentView().q, "profile", id), panel: null }, { push: true });
  return (
    <TeamRow
      path={`/api/profiles/${id}`}
      list={keys.profiles}
      what={`profile ${name}`}
      enabled={enabled}
      does={`use ${name}`}
      onShow={show}
      onEdit={onEdit}
      deletion={source === "api" ? (overridden ? RESET : {}) : null}
    >
      <td className="number">{profile.priority}</td>
      <td className="long" title={visibleLine(profile.description)}>
        <bdi>{name}</bdi> <span className="muted">{id}</span>
      </td>
      <td>{overridden ? "built in, changed here" : SOURCES[source]}</td>
      <td className="long" title={visibleLine(streamsOf(profile, patterns))}>
        <bdi>{visibleLine(streamsOf(profile, patterns))}</bdi>
      </td>
      <td className="long">{looksOf(profile)}</td>
    </TeamRow>
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
