/** Something is on its way; what went wrong so far is said while it is tried again. */

import { sentenceOf } from "../notices/NoticeProvider";

export function Reading({ failure }: { failure?: unknown }) {
  if (!failure) return <p className="note muted">reading…</p>;
  return <p className="note warning">⚠ {sentenceOf(failure)}. It is tried again…</p>;
}
