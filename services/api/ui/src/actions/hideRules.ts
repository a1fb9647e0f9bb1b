/** Hide rules that a stream's row suggests, the narrowest first. */

import type { Schemas } from "../api/client";
import { formatEndpoint } from "../format/numbers";
import type { ListedStream } from "./cached";
import { endsOf } from "../inspector/sides";

export interface Suggestion {
  title: string;
  rule: Schemas["NewRule"];
}

/** names: of patterns by their numbers. */
export function suggestions(
  stream: ListedStream,
  names: ReadonlyMap<number, { name: string }>,
): Suggestion[] {
  const { client, server } = endsOf(stream);
  const found: Suggestion[] = [
    suggest("this stream alone", "stream", stream.stream_id_hex),
    suggest(`port ${server.port} (server)`, "port", server.port),
    suggest(`address ${formatEndpoint(client, false)} (client)`, "addr", client.addr),
    suggest(`address ${formatEndpoint(server, false)} (server)`, "addr", server.addr),
  ];
  if (stream.service.name !== null)
    found.push(suggest(`service ${stream.service.name}`, "service", stream.service.name));
  for (const id of stream.pattern_ids.slice(0, 4))
    found.push(suggest(`a match of ${names.get(id)?.name ?? `pattern ${id}`}`, "pattern", id));
  found.push(suggest(`status ${stream.status}`, "status", stream.status));
  return found.filter(({ rule }) => rule.value !== 0); // there are protocols without ports
}

function suggest(
  title: string,
  kind: Schemas["NewRule"]["kind"],
  value: string | number,
): Suggestion {
  return { title, rule: { kind, value, enabled: true } };
}
