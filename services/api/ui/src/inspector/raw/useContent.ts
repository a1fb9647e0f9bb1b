/** A window of one direction, as sent and decoded. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";

import { request, type DirectionName, type Schemas } from "../../api/client";
import { keys } from "../../api/keys";
import { fromBase64, type Octets } from "../octets/base64";

export interface Window {
  direction: DirectionName;
  start: number;
  len: number;
  transform: string;
}

/** Bytes, or none where they are missing. */
export type Stretch =
  | { kind: "octets"; start: number; end: number; octets: Octets }
  | { kind: "gap"; start: number; end: number };

export interface Content {
  window: Schemas["TransformedContent"];
  stretches: readonly Stretch[];
  decoded: Octets | null;
}

export function useContent(id: string, asked: Window) {
  return useQuery<Content>({
    queryKey: keys.content(id, asked),
    queryFn: async ({ signal }) => {
      const window = await request<Schemas["TransformedContent"]>(`/api/streams/${id}/content`, {
        params: { ...asked, mode: "raw" },
        signal,
      });
      const decoded = window.transform ? fromBase64(window.transform.base64) : null;
      return { window, stretches: stretchesOf(window), decoded };
    },
    placeholderData: keepPreviousData,
    structuralSharing: false,
  });
}

/** Segments and gaps in their order. */
function stretchesOf(window: Pick<Schemas["TransformedContent"], "segments" | "gaps">): Stretch[] {
  const octets = window.segments.map(({ start, end, base64 }): Stretch => ({
    kind: "octets",
    start,
    end,
    octets: fromBase64(base64),
  }));
  const gaps = window.gaps.map(({ start, end }): Stretch => ({ kind: "gap", start, end }));
  return [...octets, ...gaps].sort((a, b) => a.start - b.start);
}
