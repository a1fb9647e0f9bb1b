/** How a stream is opened: what the page's address says, else what its profile does. */

import { useQuery } from "@tanstack/react-query";
import { createContext, use, useMemo, useState } from "react";

import type { Stream } from "../api/client";
import { profilesQuery, type Profile } from "../api/queries";
import { useView } from "../view/useView";
import type { Mode, View } from "../view/view";
import type { Side } from "./sides";

/** What profiles ask of a stream. */
export type Told = Pick<
  Stream,
  | "protocol"
  | "service"
  | "content_kind"
  | "pattern_ids"
  | "match_count"
  | "endpoint_a"
  | "endpoint_b"
>;

export interface Opening {
  mode: Mode;
  /** Whose bytes come first; null: nobody's. */
  side: Side | null;
}

/** The view, with the mode that holds. */
export interface Shown extends View {
  mode: Mode;
  side: Side | null;
}

const PLAIN: Opening = { mode: "text", side: null };
export const OpeningContext = createContext(PLAIN);

/** The view of the stream that is looked into. */
export function useShown(): Shown {
  const view = useView();
  const { mode, side } = use(OpeningContext);
  return useMemo(() => ({ ...view, mode: view.mode ?? mode, side }), [view, mode, side]);
}

/** Found once a stream: what is read must not change its form because something came in. */
export function useOpening(row: Told | undefined): Opening {
  const profiles = useQuery(profilesQuery()).data?.profiles;
  const [found, setFound] = useState<Opening | null>(null);
  if (found !== null) return found;
  if (row === undefined || profiles === undefined) return PLAIN;
  const opening = openingOf(row, profiles);
  setFound(opening);
  return opening;
}

/** By the foremost profile that fits, the same that the decoder `profile` takes. */
export function openingOf(row: Told, profiles: readonly Profile[]): Opening {
  const fitting = profiles.filter((profile) => fits(profile, row));
  const chosen = fitting.reduce<Profile | undefined>(
    (best, each) => (best === undefined || each.priority > best.priority ? each : best),
    undefined,
  );
  if (chosen === undefined) return PLAIN;
  const { default_mode: mode, default_direction: direction } = chosen;
  return { mode, side: direction === "any" ? null : direction };
}

/** Whether all that the profile says of a stream holds; one that says nothing fits none. */
function fits(profile: Profile, row: Told): boolean {
  const { protocol, services, ports, content_kind, pattern_ids, only_matched } = profile;
  const said: boolean[] = [];
  if (protocol) said.push(protocol === row.protocol);
  if (services.length > 0) said.push(services.some((name) => name === row.service.name));
  if (ports.length > 0)
    said.push(ports.includes(row.endpoint_a.port) || ports.includes(row.endpoint_b.port));
  if (content_kind) said.push(content_kind === row.content_kind);
  if (pattern_ids.length > 0) said.push(pattern_ids.some((id) => row.pattern_ids.includes(id)));
  if (only_matched) said.push(row.match_count > 0);
  return profile.enabled && said.length > 0 && said.every(Boolean);
}
