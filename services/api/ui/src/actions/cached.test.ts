import { expect, it } from "vitest";

import type { Stream } from "../api/client";
import { findStream, withStream } from "./cached";

const row = (id: string) =>
  ({ stream_id_hex: id, endpoint_a: { addr: "10.0.0.1", port: 1 }, favorite: false }) as Stream;

it("finds and changes a row wherever a list keeps it; the rest stays the same", () => {
  const pages = { pages: [{ streams: [row("1"), row("2")] }, { streams: [row("3")] }], total: 3 };
  const changed = withStream(pages, "2", { favorite: true });
  expect(findStream(changed, "2")?.favorite).toBe(true);
  expect(findStream(pages, "2")?.favorite).toBe(false);
  expect(changed.pages[1]).toBe(pages.pages[1]);
  expect(changed.pages[0]?.streams[0]).toBe(pages.pages[0]?.streams[0]);
  expect(withStream(pages, "4", { favorite: true })).toBe(pages);
});
