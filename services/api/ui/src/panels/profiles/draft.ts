/** A profile while it is edited: lists and settings as text. */

import type { Schemas } from "../../api/client";
import { formatSettings, parsePorts, parseSettings, parseTransforms } from "./text";

type Fields = Required<Schemas["ProfileChange"]>;

export interface Draft {
  id: string;
  name: string;
  description: string;
  priority: string;
  enabled: boolean;
  /** "" = any */
  protocol: string;
  content_kind: string;
  services: readonly string[];
  ports: string;
  pattern_ids: readonly number[];
  only_matched: boolean;
  default_direction: Fields["default_direction"];
  default_mode: Fields["default_mode"];
  default_transforms: string;
  hide_rules: readonly Schemas["Hiding"][];
  analyzer: string;
}

export function draftOf(profile: Schemas["KnownProfile"] | null): Draft {
  return {
    id: profile?.id ?? "",
    name: profile?.name ?? "",
    description: profile?.description ?? "",
    priority: String(profile?.priority ?? 0),
    enabled: profile?.enabled ?? true,
    protocol: profile?.protocol ?? "",
    content_kind: profile?.content_kind ?? "",
    services: profile?.services ?? [],
    ports: (profile?.ports ?? []).join(", "),
    pattern_ids: profile?.pattern_ids ?? [],
    only_matched: profile?.only_matched ?? false,
    default_direction: profile?.default_direction ?? "any",
    default_mode: profile?.default_mode ?? "text",
    default_transforms: (profile?.default_transforms ?? []).join(", "),
    hide_rules: profile?.hide_rules ?? [],
    analyzer: formatSettings(profile?.analyzer ?? {}),
  };
}

/** As the API takes it. A fault is thrown as a sentence. */
export function profileOf(draft: Draft): Fields & { id: string } {
  return {
    ...draft,
    priority: Number(draft.priority),
    protocol: (draft.protocol || null) as Fields["protocol"],
    content_kind: (draft.content_kind || null) as Fields["content_kind"],
    services: [...draft.services] as Fields["services"],
    ports: parsePorts(draft.ports),
    pattern_ids: [...draft.pattern_ids],
    default_transforms: parseTransforms(draft.default_transforms),
    hide_rules: [...draft.hide_rules],
    analyzer: parseSettings(draft.analyzer),
  };
}
