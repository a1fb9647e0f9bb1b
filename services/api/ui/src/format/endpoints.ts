/** Who talks to whom, in few characters. */

import { formatEndpoint } from "./numbers";

interface Endpoint {
  addr: string;
  port: number;
}

/** The server as seen from the client: what both addresses begin with is left out, `.2:8080`. */
export function formatServer(client: Endpoint, server: Endpoint, withPort = true): string {
  if (server.addr.includes(":") || client.addr.includes(":"))
    return formatEndpoint(server, withPort);
  const [near, far] = [client.addr.split("."), server.addr.split(".")];
  let same = 0;
  while (same < 3 && near[same] === far[same]) same++;
  if (same < 2) return formatEndpoint(server, withPort);
  return `.${far.slice(same).join(".")}${withPort ? `:${server.port}` : ""}`;
}
