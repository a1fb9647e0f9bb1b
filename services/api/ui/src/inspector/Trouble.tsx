/** Why something cannot be shown, as a sentence, and what to do about it. */

import { ApiError } from "../api/client";
import { sentenceOf } from "../notices/NoticeProvider";

/** what: "the conversation". */
export function Trouble({
  error,
  what,
  again,
}: {
  error: unknown;
  what: string;
  again?: (() => void) | undefined;
}) {
  return (
    <div className="trouble" role="alert">
      <strong>{titleOf(error, what)}</strong>
      <p>{sentenceOf(error)}</p>
      {again && (
        <button type="button" onClick={again}>
          try again
        </button>
      )}
    </div>
  );
}

export function titleOf(error: unknown, what: string): string {
  if (!(error instanceof ApiError)) return `${what} cannot be shown`;
  switch (error.status) {
    case 0:
      return `${what} cannot be read: no connection`;
    case 401:
      return `${what} needs a token`;
    case 404:
      return `${what} is gone`;
    case 410:
      return error.code === "content_disabled"
        ? "this run keeps no content"
        : `${what} made room for newer content`;
    case 503:
      return error.code === "shard_unavailable"
        ? `the shard that has ${what} does not answer`
        : `${what} cannot be read at the moment`;
    default:
      return `${what} cannot be shown`;
  }
}
