import { describe, expect, it } from "vitest";

import type { Health, Pattern } from "../api/client";
import { formatSums, reasonOf, sumsOf } from "./drops";
import { figuresOf, limited, readShare } from "./figures";
import { formatShare, shareOf, troublesOf, type ShardHealth } from "./health";

const HEALTH: Health = {
  status: "ok",
  run_status: "running",
  latest_cursor: 10,
  troubles: [],
  services: [],
  sources: [],
  ledger: {
    files: [],
    older: { files: 0, packets: 0, size: 0, offset: 0, damaged: 0 },
    states: {},
  },
  shards: [],
  totals: { packets: 1_234_567, bytes: 987_654_321 },
  rates: { packets_per_s: 412_345.6 },
  drops: {},
  queues: { shard_rows: 12, output_bytes: 340_000, output_bytes_max: 16_777_216 },
  budgets: { content_bytes: 312_000_000, content_bytes_max: 512_000_000 },
  clients: 1,
};

const SOURCE = {
  name: "a.pcap",
  kind: "file",
  status: "reading" as const,
  packets: 10,
  counted: 10,
  bytes: 1000,
  position: 250,
  size: 1000,
  damaged: 0,
  trouble: "",
  dropped_kernel: 0,
  dropped_interface: 0,
  dropped_ours: 0,
  last_drop_us: 0,
  problems: [] as { offset: number; reason: string }[],
};

function shard(index: number, state: ShardHealth["state"]): ShardHealth {
  const numbers = { age_ms: 5, restarts: 0, events: 0, messages_lost: 0, orphaned_streams: 0 };
  return { index, state, instance: "", pid: 40 + index, host: "box", ...numbers, stats: {} };
}

function pattern(name: string, status: Partial<Pattern["status"]>, enabled = true): Pattern {
  const counts = { matches: 0, over_limit: 0, timeouts: 0, skipped: 0, unseen_bytes: 0 };
  const scan = { scanned_bytes: 0, todo_bytes: 0, progress: 1, state: "active" as const };
  const rest = { kind: "substring" as const, value: name, color: "", direction: "any" as const };
  const full = { ...counts, ...scan, trouble: "", ...status };
  return { id: 1, name, services: [], enabled, ...rest, status: full };
}

const texts = (health: Partial<Health>, patterns: Pattern[] = []) =>
  Object.fromEntries(figuresOf({ ...HEALTH, ...health }, patterns).map((f) => [f.id, f.text]));
const troubled = (health: Partial<Health>, patterns: Pattern[] = []) =>
  figuresOf({ ...HEALTH, ...health }, patterns)
    .filter((f) => f.trouble)
    .map((f) => f.id);

describe("the status bar", () => {
  it("says what a healthy run is", () => {
    const shards = [shard(0, "ready"), shard(1, "ended")];
    expect(texts({ shards, clients: 3, sources: [SOURCE] })).toEqual({
      run: "running",
      in: "in 412 k pps",
      drop: "drop 0",
      lag: "read 25 %",
      queues: "queues 2 %",
      content: "content 61 % of 512 MB",
      shards: "shards 2/2",
      patterns: "patterns 0",
      online: "3 online",
    });
    expect(troubled({ shards, clients: 3 })).toEqual([]);
  });

  it("leaves out what is not known", () => expect(texts({})).not.toHaveProperty("lag"));

  it("shows the lag of a live source, and when it is trouble", () => {
    const late = (lag_ms: number, kind = "live") => ({
      queues: { ...HEALTH.queues, lag_ms },
      sources: [{ ...SOURCE, kind }],
    });
    expect(texts(late(340))["lag"]).toBe("lag 0.3 s");
    expect(texts(late(340, "pcap"))["lag"]).toBe("read 25 %");
    expect(troubled(late(340))).toEqual([]);
    expect(troubled(late(9000))).toEqual(["lag"]);
  });

  it("says packets, not a rate, when nothing is read any more", () =>
    expect(texts({ run_status: "completed" })).toMatchObject({
      run: "completed",
      in: "in 1,234,567",
    }));

  it("says why a run failed", () => {
    const problems = [{ offset: 0, reason: "neither pcap nor pcapng" }];
    const sources = [{ ...SOURCE, status: "failed" as const, damaged: 1, problems }];
    const health = { run_status: "failed" as const, status: "failed" as const, sources };
    expect(texts(health)["run"]).toBe("failed: a.pcap could not be read: neither pcap nor pcapng");
    expect(troubled(health)).toContain("run");
  });

  it("waits for a source", () =>
    expect(texts({ run_status: "waiting" })["run"]).toBe("waiting for a source"));

  it("names the shard that is lost", () => {
    const shards = [shard(0, "ready"), shard(1, "lost")];
    const health = { shards, status: "degraded" as const, troubles: ["shard 1 is not heard"] };
    expect(texts(health)["shards"]).toBe("shards 1/2");
    expect(texts(health)["run"]).toBe("running, degraded: shard 1 is not heard");
    expect(troubled(health)).toEqual(["run", "shards"]);
  });

  it("says at once what is missing of streams, and of files", () => {
    const totals = { ...HEALTH.totals, gaps: 2, gap_bytes: 1460 };
    expect(texts({ totals })["gaps"]).toBe("gaps 2 · 1.46 kB");
    expect(texts({ sources: [{ ...SOURCE, damaged: 3 }] })["damage"]).toBe("damaged 3");
    expect(troubled({ totals, sources: [{ ...SOURCE, damaged: 3 }] })).toEqual(["gaps", "damage"]);
  });

  it("counts the captures that came one by one, and those that are none", () => {
    const older = { files: 40, packets: 900, size: 9000, offset: 9000, damaged: 0 };
    const ledger = { files: [], older, states: { done: 40, reading: 1, rejected: 0, gone: 0 } };
    expect(texts({ ledger })["files"]).toBe("files 41");
    expect(troubled({ ledger })).toEqual([]);
    const rejected = { ...ledger, states: { done: 40, rejected: 2 } };
    expect(texts({ ledger: rejected })["files"]).toBe("files 42, 2 rejected");
    expect(troubled({ ledger: rejected })).toEqual(["files"]);
  });

  it("says what a source waits for", () => {
    const sources = [{ ...SOURCE, trouble: "10.0.0.1:57012 refuses; tried again in 4 s" }];
    expect(texts({ sources })["run"]).toContain("a.pcap: 10.0.0.1:57012 refuses");
    expect(troubled({ sources })).toEqual(["run"]);
  });

  it("counts patterns that do not show everything", () => {
    const patterns = [
      pattern("flag", { over_limit: 4 }),
      pattern("ok", {}),
      pattern("slow", { state: "slow" }),
      pattern("off", { over_limit: 9, state: "disabled" }, false),
    ];
    expect(limited(patterns).map(({ name }) => name)).toEqual(["flag", "slow"]);
    expect(texts({}, patterns)["patterns"]).toBe("patterns 2 of 3 capped");
    expect(troubled({}, patterns)).toEqual(["patterns"]);
  });

  it("says when no content is kept, and when it is full", () => {
    const budgets = { content_bytes: 0, content_bytes_max: 0 };
    expect(texts({ budgets })["content"]).toBe("content off");
    const full = { content_bytes: 511_999_999, content_bytes_max: 512_000_000 };
    const [content] = figuresOf({ ...HEALTH, budgets: full }, []).filter((f) => f.id === "content");
    expect(content?.text).toBe("content 99 % of 512 MB");
    expect(content?.means).toMatch(/Full/);
  });
});

describe("drops", () => {
  const drops = { non_ip: 7, truncated: 3, dropped_kernel: 1200, output_lines: 1, malformed: 2 };

  it("sums what was lost by its unit, apart from what was left aside", () => {
    expect([...sumsOf(drops, true)]).toEqual([
      ["packets", 1203],
      ["lines", 1],
    ]);
    expect([...sumsOf(drops, false)]).toEqual([["packets", 9]]);
    expect(texts({ drops })["drop"]).toBe("drop 1,203 packets, 1 line");
    expect(troubled({ drops })).toEqual(["drop"]);
  });

  it("is no trouble when packets were only left aside", () => {
    const aside = { non_ip: 7, after_reset_bytes: 4096 };
    expect(troubled({ drops: aside })).toEqual([]);
    expect(formatSums(sumsOf(aside, false))).toBe("7 packets, 4.10 kB");
  });

  it("takes a reason that it does not know as a loss", () =>
    expect(reasonOf("dropped_by_moonlight")).toEqual({
      unit: "packets",
      lost: true,
      means: "dropped by moonlight",
    }));
});

describe("shares", () => {
  it.each([
    [0, "0 %"],
    [0.0001, "< 1 %"],
    [0.6149, "61 %"],
    [0.9999, "99 %"],
    [1, "100 %"],
  ])("%d is %s", (share, text) => expect(formatShare(share)).toBe(text));

  it("has none without a bound, and none over it", () => {
    expect(shareOf(5, 0)).toBeNull();
    expect(shareOf(undefined, 5)).toBeNull();
    expect(shareOf(9, 5)).toBe(1);
  });

  it("is of sources whose size is known and that can be read", () => {
    const failed = { ...SOURCE, position: 0, status: "failed" as const };
    expect(readShare([SOURCE, { ...SOURCE, position: 900, size: 0 }, failed])).toBe(0.25);
    expect(readShare([])).toBeNull();
  });
});

describe("troublesOf", () => {
  it("takes the server's sentences", () => {
    const shards = [shard(1, "lost")];
    expect(troublesOf({ ...HEALTH, shards, troubles: ["the disk is full"] })).toEqual([
      "the disk is full",
    ]);
  });

  it("does not keep quiet about trouble that it cannot name", () =>
    expect(troublesOf({ ...HEALTH, status: "degraded" })).toHaveLength(1));
});
