/** To a match: its bytes are the place that is looked at, in whichever tab shows places. */

import { currentView, go } from "../../view/useView";
import type { Match } from "./useMatches";

export function goToMatch(matches: readonly Match[], index: number): void {
  const match = matches[index];
  if (match === undefined) return;
  const { tab } = currentView();
  go({
    match: index,
    dir: match.direction,
    at: match.start,
    len: match.end - match.start,
    tab: tab === "messages" || tab === "packets" ? "conversation" : tab,
  });
}
