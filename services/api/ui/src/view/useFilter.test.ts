import { expect, it } from "vitest";

import { paramsAtOnce } from "./useFilter";

it("knows what to ask with before anything was read, as far as the filter says it itself", () => {
  expect(paramsAtOnce("", "")).toEqual({});
  expect(paramsAtOnce("svc:http port:80", "")).toEqual({ service: "http", port: 80 });
  expect(paramsAtOnce("data:FLAG", "7")).toEqual({ search: "7" });
  expect(paramsAtOnce("data:FLAG", "")).toBeNull(); // its search has not begun
  expect(paramsAtOnce("pat:flag", "")).toBeNull(); // names have their meaning from the server
  expect(paramsAtOnce("pattern:flag", "")).toBeNull();
  expect(paramsAtOnce("since:09:10", "")).toBeNull(); // the day is the run's
  expect(paramsAtOnce("since:2026-11-26T09:10:00", "")).not.toBeNull();
});
