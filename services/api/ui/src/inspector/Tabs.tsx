/** The inspector's tabs: one is in the tab order, arrows go round (ARIA tabs pattern). */

import type { KeyboardEvent } from "react";

import { formatCount } from "../format/numbers";
import { go } from "../view/useView";
import { TABS, type Tab } from "../view/view";

const TITLES: Record<Tab, string> = {
  conversation: "Conversation",
  messages: "Messages",
  matches: "Matches",
  raw: "Raw",
  packets: "Packets",
};

export function nextTab(tab: Tab, by = 1): Tab {
  return TABS[(TABS.indexOf(tab) + by + TABS.length) % TABS.length] ?? tab;
}

export function Tabs({ tab, counts }: { tab: Tab; counts: Partial<Record<Tab, number>> }) {
  const move = (event: KeyboardEvent<HTMLElement>) => {
    const to = {
      ArrowRight: nextTab(tab),
      ArrowLeft: nextTab(tab, -1),
      Home: TABS[0],
      End: TABS[TABS.length - 1],
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation(); // the arrows are messages elsewhere
    go({ tab: to });
    document.getElementById(`tab-${to}`)?.focus();
  };
  return (
    <div className="tabs" role="tablist" aria-label="looks at the stream">
      {TABS.map((name) => (
        <button
          key={name}
          id={`tab-${name}`}
          type="button"
          role="tab"
          aria-selected={name === tab}
          aria-controls="inspector-panel"
          tabIndex={name === tab ? 0 : -1}
          onClick={() => go({ tab: name })}
          onKeyDown={move}
        >
          {TITLES[name]}
          {counts[name] !== undefined && counts[name] > 0 && (
            <span className="muted"> {formatCount(counts[name])}</span>
          )}
        </button>
      ))}
    </div>
  );
}
