/** What the server sends, as a file of this computer. */

import { send, type Params } from "../api/client";

/** Fetched with the token, then saved. */
export async function download(path: string, params: Params, name: string): Promise<void> {
  const response = await send(path, { params });
  save(await response.blob(), name);
}

function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the browser reads it until then
}
