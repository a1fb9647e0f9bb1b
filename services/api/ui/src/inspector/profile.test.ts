import { describe, expect, it } from "vitest";

import type { Profile } from "../api/queries";
import { openingOf, type Told } from "./profile";

const ROW: Told = {
  protocol: "tcp",
  service: { name: "http", confidence: "high", source: "payload", evidence: "" },
  content_kind: "text",
  pattern_ids: [3],
  match_count: 1,
  endpoint_a: { addr: "10.0.0.1", port: 40000 },
  endpoint_b: { addr: "10.0.0.2", port: 8080 },
};

/** A profile that opens in hex. */
const profile = (change: Partial<Profile>): Profile => ({
  id: "one",
  name: "",
  description: "",
  priority: 0,
  enabled: true,
  protocol: null,
  services: [],
  ports: [],
  content_kind: null,
  pattern_ids: [],
  only_matched: false,
  default_direction: "any",
  default_mode: "hex",
  default_transforms: [],
  hide_rules: [],
  analyzer: {},
  source: "api",
  ...change,
});

describe("how a stream is opened", () => {
  it.each<[string, Partial<Profile>, boolean]>([
    ["says nothing", {}, false],
    ["is of its protocol", { protocol: "tcp" }, true],
    ["is of another protocol", { protocol: "udp" }, false],
    ["is of its service, among others", { services: ["dns", "http"] }, true],
    ["is of another service", { services: ["dns"] }, false],
    ["has one of its ports", { ports: [8080] }, true],
    ["has the port of the other end", { ports: [40000] }, true],
    ["has other ports", { ports: [80] }, false],
    ["is of its content", { content_kind: "text" }, true],
    ["is of other content", { content_kind: "binary" }, false],
    ["has one of its patterns", { pattern_ids: [1, 3] }, true],
    ["has other patterns", { pattern_ids: [1] }, false],
    ["has a match", { only_matched: true }, true],
    ["fits in one respect and not in another", { services: ["http"], ports: [80] }, false],
    ["is disabled", { protocol: "tcp", enabled: false }, false],
  ])("a profile that %s", (_, change, fits) => {
    const mode = fits ? "hex" : "text";
    expect(openingOf(ROW, [profile(change)])).toEqual({ mode, side: null });
  });

  it("is as the profile of the highest priority says", () => {
    const low = profile({ protocol: "tcp", priority: 1 });
    const high = profile({
      protocol: "tcp",
      priority: 2,
      default_mode: "raw",
      default_direction: "server",
    });
    const opening = { mode: "raw", side: "server" };
    expect(openingOf(ROW, [low, high])).toEqual(opening);
    expect(openingOf(ROW, [high, low])).toEqual(opening);
  });

  it("is as text where a stream that has no match yet fits none", () => {
    const matched = profile({ only_matched: true });
    expect(openingOf({ ...ROW, match_count: 0 }, [matched])).toEqual({ mode: "text", side: null });
  });
});
