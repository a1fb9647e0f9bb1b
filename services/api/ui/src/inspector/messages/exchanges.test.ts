import { describe, expect, it } from "vitest";

import { cellsOf, columnsOf, exchangeAt, exchangesOf } from "./exchanges";
import { codingsOf, type Message } from "./useMessages";

function message(id: number, change: Partial<Message> = {}): Message {
  const answers = change.kind === "response";
  return {
    ...{ message_id: String(id), ordinal: id, stream_id_hex: "0", protocol: "http1" },
    ...{ kind: "request", status: "complete", summary: "GET / HTTP/1.1", note: null },
    direction: answers ? "b_to_a" : "a_to_b",
    ...{ start: id * 100, end: id * 100 + 50, header_start: id * 100, header_end: id * 100 + 50 },
    ...{ body_start: null, body_end: null, ts_us: id * 1000, pair_id: null },
    detail: answers ? { status_code: 200 } : { method: "GET", target: "/" },
    ...change,
  };
}

const answer = (id: number, of: number, change: Partial<Message> = {}) =>
  message(id, { kind: "response", pair_id: String(of), ...change });

describe("exchanges", () => {
  it("put an answer beside its request, also when requests are pipelined", () => {
    const rows = exchangesOf([message(0), message(1), answer(2, 0), answer(3, 1)]);
    expect(rows.map(({ first, answer }) => [first.ordinal, answer?.ordinal])).toEqual([
      [0, 2],
      [1, 3],
    ]);
  });

  it("leave what has no counterpart alone", () => {
    const rows = exchangesOf([answer(0, 7), message(1), answer(2, 1), answer(3, 1)]);
    expect(rows.map(({ first, answer }) => [first.ordinal, answer?.ordinal])).toEqual([
      [0, undefined],
      [1, 2],
      [3, undefined],
    ]);
  });

  it("are found by a place in either of their messages", () => {
    const rows = exchangesOf([message(0), answer(1, 0), message(2), answer(3, 2)]);
    expect(exchangeAt(rows, "a_to_b", 10)).toBe(0);
    expect(exchangeAt(rows, "b_to_a", 310)).toBe(1);
    expect(exchangeAt(rows, "b_to_a", 50)).toBe(-1);
    expect(exchangeAt(rows, "a_to_b", null)).toBe(-1);
  });

  it("have columns for a method and a type where one of them is HTTP", () => {
    const hello = message(0, { protocol: "tls", kind: "client_hello" });
    expect(columnsOf(exchangesOf([hello]))).toEqual("from target status length at took".split(" "));
    expect(columnsOf(exchangesOf([message(1), hello]))).toEqual(
      "from method target status type length at took".split(" "),
    );
  });

  it("say what a table shows of them", () => {
    const detail = { status_code: 404, headers: [["Content-TYPE", "text/html; charset=x"]] };
    const bad = answer(1, 0, { detail, body_start: 150, body_end: 170 });
    const [row] = exchangesOf([message(0), bad]);
    expect(row && cellsOf(row)).toEqual({
      ...{ method: "GET", target: "/", status: "404", bad: true, type: "html" },
      ...{ octets: 20, took_us: 1000 },
    });
  });

  it("say what is wrong where there is no status code", () => {
    const [row] = exchangesOf([message(0, { status: "partial", note: "end_of_stream" })]);
    expect(row && cellsOf(row)).toMatchObject({
      status: "end of stream",
      bad: true,
      took_us: null,
    });
  });
});

it("lists codings in the order in which they come off", () => {
  const detail = { transfer_encoding: "gzip, chunked", content_encoding: "br, identity" };
  expect(codingsOf(message(0, { detail }))).toEqual(["chunked", "gzip", "br"]);
  expect(codingsOf(message(0, { detail: {} }))).toEqual([]);
});
