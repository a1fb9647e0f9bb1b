import { expect, it } from "vitest";

import { Dealer, ROWS_A_FRAME } from "./dealing";

const ids = (first: number, count: number) =>
  Array.from({ length: count }, (_, i) => `${first + i}`);

it("gives a few rows a frame, in their order, until all are there", () => {
  const dealer = new Dealer();
  const seen = ids(0, ROWS_A_FRAME + 1);
  expect([...dealer.deal(seen)]).toEqual(seen.slice(0, ROWS_A_FRAME));
  expect([...dealer.deal(seen)]).toEqual(seen.slice(0, ROWS_A_FRAME));
  expect(dealer.painted()).toBe(true);
  expect([...dealer.deal(seen)]).toEqual(seen);
  expect(dealer.painted()).toBe(false);
});

it("keeps what is seen, and forgets what is not", () => {
  const dealer = new Dealer();
  dealer.deal(ids(0, 20));
  expect(dealer.deal(ids(4, 20)).size).toBe(20); // 4 new ones: 24 in this frame
  expect(dealer.deal(ids(0, 20)).size).toBe(16); // the first 4 were away
  expect(dealer.painted()).toBe(true);
  expect(dealer.deal(ids(0, 20)).size).toBe(20);
});

it("takes a stream that is there twice for one", () => {
  const dealer = new Dealer();
  dealer.deal([...ids(0, ROWS_A_FRAME), ...ids(0, ROWS_A_FRAME)]);
  expect(dealer.painted()).toBe(false);
});
