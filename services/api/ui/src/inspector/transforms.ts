/** Decoders by the names that the API knows (`transform=` of content), in the order of `m`. */

export const TRANSFORMS = [
  "auto",
  "http_body",
  "websocket",
  "gzip",
  "deflate",
  "brotli",
  "zstd",
  "http_chunked",
  "url_decode",
  "base64_decode",
  "charset",
  "json_pretty",
  "profile",
] as const;

/** What Shift+M decodes with when nothing was chosen. */
export const DEFAULT_DECODER = "auto";

/** The decoder after this one; "" = as sent. */
export function nextDecoder(decoder: string): string {
  const at = TRANSFORMS.findIndex((name) => name === decoder);
  return TRANSFORMS[at + 1] ?? "";
}
