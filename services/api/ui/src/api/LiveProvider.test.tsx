import { QueryClient } from "@tanstack/react-query";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { keys } from "./keys";
import type { Delta } from "./live";
import { Changes, touchedBy } from "./LiveProvider";

const delta = (kind: Delta["kind"], body: object = {}): Delta => ({ cursor: 1, kind, ...body });
const ID = "00ff00ff00ff00ff";

describe("touchedBy", () => {
  it("reads health again after numbers and news of the run", () => {
    expect(touchedBy(delta("stats"))).toEqual([keys.health]);
    expect(touchedBy(delta("status"))).toEqual([keys.health]);
  });

  it("reads lists again after changed rows, and the streams that it names", () => {
    const touched = touchedBy(delta("streams", { ids: [ID] }));
    expect(touched).toEqual([keys.streams, keys.overview, keys.stream(ID)]);
    expect(touchedBy(delta("streams"))).toEqual([keys.streams, keys.overview]);
  });

  it("reads what patterns found again after matches", () => {
    const touched = touchedBy(delta("matches", { ids: [ID] }));
    expect(touched).toContainEqual(keys.patterns);
    expect(touched).toContainEqual(keys.stream(ID));
  });

  it.each([
    ["pattern", keys.patterns],
    ["profile", keys.profiles],
    ["rule", keys.rules],
  ])("reads the list again in which somebody changed a %s", (what, list) => {
    const touched = touchedBy(delta("state", { what, action: "changed", id: 3 }));
    expect(touched).toEqual([keys.streams, keys.overview, list]);
  });

  it("reads a stream again on which somebody noted something, and no list of decisions", () => {
    const touched = touchedBy(delta("state", { what: "comment", stream_id_hex: ID }));
    expect(touched).toEqual([keys.streams, keys.overview, keys.stream(ID)]);
  });

  it("reads nothing again for counts of messages", () =>
    expect(touchedBy(delta("messages", { count: 5 }))).toEqual([]));
});

describe("Changes", () => {
  const client = new QueryClient();
  const told = vi.spyOn(client, "invalidateQueries").mockResolvedValue();

  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => {
    vi.useRealTimers();
    told.mockClear();
  });

  it("gathers a thousand changes into one reading", () => {
    const changes = new Changes(client);
    for (let i = 0; i < 1000; i++) changes.add(delta("streams", { ids: [ID] }));
    expect(told).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1000);
    expect(told.mock.calls.map(([filters]) => filters?.queryKey)).toEqual([
      keys.streams,
      keys.overview,
      keys.stream(ID),
    ]);
  });

  it("shows what somebody did without waiting", () => {
    const changes = new Changes(client);
    changes.add(delta("state", { what: "pattern" }));
    vi.advanceTimersByTime(0);
    expect(told).toHaveBeenCalledWith({ queryKey: keys.patterns });
  });

  it("says nothing after it was stopped", () => {
    const changes = new Changes(client);
    changes.add(delta("stats"));
    changes.stop();
    vi.advanceTimersByTime(1000);
    expect(told).not.toHaveBeenCalled();
  });
});
