import { QueryClient } from "@tanstack/react-query";
import { afterEach, describe, expect, it, vi } from "vitest";

import type { Stream } from "../api/client";
import { keys } from "../api/keys";
import { annotate } from "./useStreamActions";

const ROW = {
  ...{ stream_id_hex: "ab", endpoint_a: { addr: "10.0.0.1", port: 1 }, comment: "kept" },
  ...{ favorite: false, hidden: true, hidden_reason: "rule 1: service dns" },
} as Stream;
const LIST = [...keys.streams, "first"];

function cached(): QueryClient {
  const client = new QueryClient();
  client.setQueryData(LIST, { streams: [ROW] });
  client.setQueryData(keys.stream("ab"), ROW);
  return client;
}

const listed = (client: QueryClient) =>
  client.getQueryData<{ streams: Stream[] }>(LIST)?.streams[0];
const detail = (client: QueryClient) => client.getQueryData<Stream>(keys.stream("ab"));

/** Answers what is asked once `go` is called. */
function server(status: number, body: unknown) {
  let go: () => void = () => undefined;
  const answer = new Promise<Response>((resolve) => {
    go = () => resolve(new Response(JSON.stringify(body), { status }));
  });
  vi.stubGlobal("fetch", () => answer);
  return { go };
}

afterEach(() => vi.unstubAllGlobals());

describe("what is noted on a stream", () => {
  it("is shown before the server has answered, then is what it answered", async () => {
    const client = cached();
    const { go } = server(200, { ...ROW, comment: "evil", favorite: true });
    const say = vi.fn();
    const done = annotate(client, say, ROW, { favorite: true }, "a favourite");
    await vi.waitFor(() => expect(listed(client)?.favorite).toBe(true));
    expect(detail(client)?.favorite).toBe(true);
    go();
    await done;
    expect(listed(client)).toMatchObject({ favorite: true, comment: "evil" });
    expect(say).toHaveBeenCalledExactlyOnceWith("a favourite");
  });

  it("is taken back when the server refuses, and why is said", async () => {
    const client = cached();
    const { go } = server(409, { error: { code: "too_many", message: "too many", hint: "" } });
    const say = vi.fn();
    const done = annotate(client, say, ROW, { hidden: false }, "shown again");
    await vi.waitFor(() => expect(listed(client)?.hidden).toBe(false));
    expect(listed(client)?.hidden_reason).toBeNull();
    go();
    await done;
    expect(listed(client)).toEqual(ROW);
    expect(detail(client)).toEqual(ROW);
    expect(say).toHaveBeenCalledExactlyOnceWith("not shown again: too many", { trouble: true });
  });
});
