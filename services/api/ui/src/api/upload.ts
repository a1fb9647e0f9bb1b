/** Sends a capture, and says how far it is: fetch cannot tell that, XMLHttpRequest can. */

import { address, ApiError, authorization, problemOf, type Schemas } from "./client";

/** progress: bytes sent so far. Throws ApiError, or an AbortError after `signal`. */
export function upload(
  file: File,
  progress: (sent: number) => void,
  signal: AbortSignal,
): Promise<Schemas["Upload"]> {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open("POST", address("/api/captures", { name: file.name }));
    for (const [name, value] of Object.entries(authorization()))
      request.setRequestHeader(name, value);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.addEventListener("progress", (event) => progress(event.loaded));
    request.addEventListener("load", () => {
      if (request.status === 201) done(JSON.parse(request.responseText) as Schemas["Upload"]);
      else
        void problemOf(new Response(request.responseText, { status: request.status })).then(fail);
    });
    request.addEventListener("error", () =>
      fail(new ApiError(0, "unreachable", "the server ended the upload", "try again")),
    );
    request.addEventListener("abort", () => fail(new DOMException("cancelled", "AbortError")));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}
