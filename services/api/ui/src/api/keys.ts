/** Names of what is kept in the query cache, so that a change knows what to read again. */

import type { StreamParams } from "../view/filter";

export const keys = {
  health: ["health"] as const,
  streams: ["streams"] as const,
  /** One stream, and everything that hangs on it. */
  stream: (id: string) => ["stream", id] as const,
  conversation: (id: string, mode: string) => ["stream", id, "conversation", mode] as const,
  messages: (id: string) => ["stream", id, "messages"] as const,
  matches: (id: string) => ["stream", id, "matches"] as const,
  content: (id: string, params: unknown) => ["stream", id, "content", params] as const,
  /** What stays as it is once it was read: decoded bytes, a message's body. */
  decoded: (id: string, what: unknown) => ["decoded", id, what] as const,
  patterns: ["patterns"] as const,
  profiles: ["profiles"] as const,
  rules: ["hide-rules"] as const,
  search: (id: string) => ["search", id] as const,
  timeline: (params: StreamParams) => ["overview", "timeline", params] as const,
  facets: (params: StreamParams) => ["overview", "facets", params] as const,
  overview: ["overview"] as const,
  /** When the newest stream was seen: the day that times without a date are of. */
  day: ["day"] as const,
};
