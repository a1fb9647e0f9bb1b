import { describe, expect, it } from "vitest";

import { packetFiles } from "./packets";

const TCP = { stream_id_hex: "00000000000000aa", protocol: "tcp" as const };
const ICMP = { ...TCP, protocol: "icmp" as const };

const had = (...asked: Parameters<typeof packetFiles>) =>
  packetFiles(...asked).map(({ wanted, not }) => [wanted, not === undefined]);

describe("files of packets", () => {
  it("are captured ones first, where they are kept", () =>
    expect(had(TCP, true)).toEqual([
      ["auto", true],
      ["captured", true],
      ["synthesised", true],
    ]));

  it("are made of the stream where none are kept, and it is said that none are", () => {
    expect(had(TCP, false)).toEqual([
      ["captured", false],
      ["synthesised", true],
    ]);
    expect(packetFiles(TCP, false)[0]?.not).toContain("--packet-ring");
  });

  it("are not made of what has no ports", () => {
    expect(had(ICMP, false)).toEqual([
      ["captured", false],
      ["synthesised", false],
    ]);
    expect(had(ICMP, true)[1]).toEqual(["captured", true]);
  });

  it("have names that say what is in them", () =>
    expect(packetFiles(TCP, true).map(({ name }) => name)).toEqual([
      "00000000000000aa.pcapng",
      "00000000000000aa-captured.pcapng",
      "00000000000000aa-synthesised.pcapng",
    ]));
});
