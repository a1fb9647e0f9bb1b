/** What lies over the page: the panel that the view names, and captures that are dropped on it. */

import type { ComponentType } from "react";

import type { Panel } from "../view/view";
import { go, useViewOf } from "../view/useView";
import { Dialog } from "./Dialog";
import { HelpPanel } from "./help/HelpPanel";
import "./panels.css";
import { PatternsPanel } from "./patterns/PatternsPanel";
import { ProfilesPanel } from "./profiles/ProfilesPanel";
import { RulesPanel } from "./rules/RulesPanel";
import { SearchPanel } from "./search/SearchPanel";
import { useSearchKept } from "./search/useFound";
import { DropTarget } from "./status/DropTarget";
import { StatusPanel } from "./status/StatusPanel";

const PANELS: Record<Panel, { title: string; content: ComponentType }> = {
  patterns: { title: "Patterns", content: PatternsPanel },
  profiles: { title: "Profiles", content: ProfilesPanel },
  rules: { title: "Hide rules", content: RulesPanel },
  search: { title: "Search in content", content: SearchPanel },
  status: { title: "Can the capture be trusted?", content: StatusPanel },
  help: { title: "Help", content: HelpPanel },
};

export function Panels() {
  const [panel, search] = [useViewOf("panel"), useViewOf("search")];
  useSearchKept(panel === "search" ? "" : search);
  const shown = panel && PANELS[panel];
  return (
    <>
      <DropTarget />
      {shown && (
        <Dialog key={panel} title={shown.title} onClose={() => go({ panel: null })}>
          <shown.content />
        </Dialog>
      )}
    </>
  );
}
