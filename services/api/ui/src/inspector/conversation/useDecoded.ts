/** What decoders make of a turn's bytes, and how each step went. */

import { useQuery } from "@tanstack/react-query";

import { request, type Schemas } from "../../api/client";
import { keys } from "../../api/keys";
import { fromBase64, type Octets } from "../octets/base64";
import type { Turn } from "./turns";

export type Step = Schemas["TransformStep"];

export interface Decoded {
  steps: readonly Step[];
  octets: Octets;
  /** There is more than the server lets through. */
  limited: boolean;
}

export function useDecoded(id: string, turn: Turn, decoder: string, enabled = true) {
  const { direction, start, end } = turn;
  return useQuery<Decoded>({
    queryKey: keys.decoded(id, { direction, start, end, decoder }),
    queryFn: async ({ signal }) => {
      const content = await request<Schemas["TransformedContent"]>(`/api/streams/${id}/content`, {
        params: { direction, start, len: end - start, mode: "raw", transform: decoder },
        signal,
      });
      const { transform } = content;
      return {
        steps: transform?.steps ?? [],
        octets: fromBase64(transform?.base64 ?? ""),
        limited: (transform?.truncated_by_limit ?? false) || content.truncated_by_limit,
      };
    },
    structuralSharing: false,
    enabled,
  });
}

/** Whether anything came of it. */
export function isDecoded(decoded: Decoded): boolean {
  return decoded.steps.some((step) => step.status === "applied" || step.status === "partial");
}

/** The end of the HTTP head that octets begin with, empty line included; 0 when there is none. */
export function headEnd(octets: Uint8Array): number {
  let lineStart = 0;
  for (let at = octets.indexOf(10); at >= 0; at = octets.indexOf(10, at + 1)) {
    const empty = at === lineStart || (at === lineStart + 1 && octets[lineStart] === 13);
    if (empty && lineStart > 0) return at + 1;
    lineStart = at + 1;
  }
  return 0;
}
