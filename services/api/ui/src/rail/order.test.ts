import { expect, it } from "vitest";

import { inOrder } from "./order";

it("names keep their places, new ones come behind", () => {
  expect(inOrder(["http", "dns"], [])).toEqual(["http", "dns"]);
  expect(inOrder(["ssh", "dns", "http"], ["http", "dns"])).toEqual(["http", "dns", "ssh"]);
  expect(inOrder([], ["http"])).toEqual(["http"]);
});
