/** Whether the capture can be trusted: numbers that say what they mean, and open the detail. */

import { useQuery } from "@tanstack/react-query";

import { useLive } from "../api/LiveProvider";
import { HEALTH_MS, healthQuery, patternsQuery } from "../api/queries";
import { visibleLine } from "../format/visible";
import { go } from "../view/useView";
import { figuresOf, type Figure } from "./figures";
import "./status.css";
import { formatAge, useNow } from "./useNow";

export function StatusBar() {
  const { connected } = useLive();
  const health = useQuery({ ...healthQuery(), refetchInterval: connected && HEALTH_MS });
  const patterns = useQuery(patternsQuery());
  const figures = health.data ? figuresOf(health.data, patterns.data?.patterns ?? []) : [];
  return (
    <footer className="status" aria-label="status" data-stale={!connected}>
      <Connection />
      <ul>
        {figures.map((each) => (
          <Item key={each.id} figure={each} />
        ))}
      </ul>
    </footer>
  );
}

function Item({ figure: { id, text, means, trouble } }: { figure: Figure }) {
  const open = () => go({ panel: id === "patterns" ? "patterns" : "status" }, { push: true });
  return (
    <li data-figure={id}>
      <button
        type="button"
        className={trouble ? "plain warning" : "plain"}
        title={visibleLine(means)}
        onClick={open}
      >
        {trouble && <span aria-hidden="true">⚠ </span>}
        {visibleLine(text)}
        <span className="spoken-only">
          {trouble ? ". Trouble: " : ". "}
          {visibleLine(means)}
        </span>
      </button>
    </li>
  );
}

/** Said once aloud; the age only to those who look. */
function Connection() {
  const { connected, lostAt } = useLive();
  const now = useNow(!connected);
  const news = connected ? "" : lostAt === null ? "connecting" : "reconnecting";
  return (
    <>
      <span className={connected ? "spoken-only" : "warning"} role="status">
        {connected ? "connected" : news}
      </span>
      {lostAt !== null && !connected && (
        <span className="warning age">, last seen {formatAge(now - lostAt)} ago</span>
      )}
    </>
  );
}
