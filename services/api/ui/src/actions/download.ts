/** What the server sends, as a file of this computer. */

import { send, type Params } from "../api/client";
import { visibleLine } from "../format/visible";

/** Fetched with the token, then saved; answers what is to be said: its name, and what the server
 * notes of it. */
export async function download(path: string, params: Params, name: string): Promise<string> {
  const response = await send(path, { params });
  save(await response.blob(), name);
  const note = response.headers.get("X-Flowmate-Note");
  return `downloaded ${name}${note ? `: ${visibleLine(note)}` : ""}`;
}

function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the browser reads it until then
}
