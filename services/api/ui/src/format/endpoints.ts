/** Who talks to whom, in few characters. */

/** The server's address as seen from the client: what both begin with is left out, `.2`. */
export function formatServer(client: string, server: string): string {
  if (server.includes(":") || client.includes(":")) return server;
  const [near, far] = [client.split("."), server.split(".")];
  let same = 0;
  while (same < 3 && near[same] === far[same]) same++;
  return same < 2 ? server : `.${far.slice(same).join(".")}`;
}
