/** The list stays while the server cannot be reached; this line says how old it is. */

import { useEffect, useState } from "react";

import { useLive } from "../api/LiveProvider";
import { formatDuration } from "../format/numbers";
import { sentenceOf } from "../notices/NoticeProvider";

interface Props {
  /** Why what is shown could not be read again. */
  error: Error | null;
  readAt: number | undefined;
}

export function ReconnectLine({ error, readAt }: Props) {
  const { lostAt } = useLive();
  const now = useNow(lostAt !== null);
  if (lostAt !== null) {
    const age = Math.floor(Math.max(0, now - (readAt ?? lostAt)) / 1000) * 1_000_000;
    const shown = readAt === undefined ? "" : `; what is shown is ${formatDuration(age)} old`;
    return (
      <p className="line warning" role="status">
        reconnecting{shown}
      </p>
    );
  }
  return error === null ? null : (
    <p className="line warning" role="status">
      not up to date: {sentenceOf(error)}
    </p>
  );
}

function useNow(ticking: boolean): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (!ticking) return;
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [ticking]);
  return now;
}
