/** The frame: bar, timeline, rail, list, inspector, status; and what lies over it. */

import { useEffect, type CSSProperties } from "react";

import { Bar } from "./bar/Bar";
import { Resizer } from "./frame/Resizer";
import { Inspector } from "./inspector/Inspector";
import { run, useCommands, useKeyboard } from "./keys/useCommands";
import { StreamList } from "./list/StreamList";
import { Palette } from "./panels/Palette";
import { Panels } from "./panels/Panels";
import { Rail } from "./rail/Rail";
import { StatusBar } from "./status/StatusBar";
import { TokenGate } from "./status/TokenGate";
import { Timeline } from "./timeline/Timeline";
import { prefs, usePrefs } from "./view/prefs";
import { currentView, go, useViewOf } from "./view/useView";
import type { Panel } from "./view/view";

const RAIL_PX = { min: 120, max: 480, initial: 200 };
const INSPECTOR_PX = { min: 320, max: 1400, initial: 560 };
const THEMES = ["system", "dark", "light"] as const;

// the same elements each time: what is selected draws the inspector, not the whole page anew
const REGIONS = [
  <Bar key="bar" />,
  <Timeline key="timeline" />,
  <Rail key="rail" />,
  <StreamList key="list" />,
];
const STATUS = <StatusBar />;
const PANELS = [<Panels key="panels" />, <Palette key="palette" run={run} />];

export function App() {
  const { railWidth, inspectorWidth } = usePrefs();
  const stream = useViewOf("stream");
  useKeyboard();
  useTheme();
  useCommands({
    back: goBack,
    "page.help": () => open("help"),
    "panel.patterns": () => open("patterns"),
    "panel.profiles": () => open("profiles"),
    "panel.rules": () => open("rules"),
    "panel.search": () => open("search"),
    "panel.status": () => open("status"),
    "page.theme": nextTheme,
    "keys.toggle": () => prefs.change({ keys: !prefs.read().keys }),
  });
  const style = {
    "--rail-width": `${railWidth}px`,
    "--inspector-width": `${inspectorWidth}px`,
  } as CSSProperties;
  return (
    <TokenGate>
      <div className={stream === null ? "frame no-stream" : "frame"} style={style}>
        {REGIONS}
        <section className="edges" aria-label="Widths">
          <Resizer
            name="the rail"
            className="rail-edge"
            width={railWidth}
            {...RAIL_PX}
            resized={(width) => prefs.change({ railWidth: width })}
          />
          {stream !== null && (
            <Resizer
              name="the inspector"
              className="inspector-edge"
              width={inspectorWidth}
              {...INSPECTOR_PX}
              fromRight
              resized={(width) => prefs.change({ inspectorWidth: width })}
            />
          )}
        </section>
        {stream !== null && <Inspector key={stream} id={stream} />}
        {STATUS}
      </div>
      {PANELS}
    </TokenGate>
  );
}

function open(panel: Panel): void {
  go({ panel }, { push: true });
}

/** Escape takes away one thing: a panel, then the place that has the focus, then the selection. */
function goBack(): void {
  const active = document.activeElement;
  if (currentView().panel !== null) go({ panel: null });
  else if (active instanceof HTMLElement && active.closest(".bar, .inspector") !== null)
    document.querySelector<HTMLElement>(".list [role=grid]")?.focus();
  else go({ stream: null, at: null, len: null, match: null });
}

function nextTheme(): void {
  const at = THEMES.indexOf(prefs.read().theme);
  prefs.change({ theme: THEMES[(at + 1) % THEMES.length] ?? "system" });
}

function useTheme(): void {
  const { theme } = usePrefs();
  useEffect(() => {
    const system = window.matchMedia("(prefers-color-scheme: light)");
    const apply = () => {
      const light = theme === "light" || (theme === "system" && system.matches);
      document.documentElement.dataset["theme"] = light ? "light" : "dark";
    };
    apply();
    system.addEventListener("change", apply);
    return () => system.removeEventListener("change", apply);
  }, [theme]);
}
