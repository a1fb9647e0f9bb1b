import { describe, expect, it } from "vitest";

import { ApiError } from "../../api/client";
import { faultOf } from "./fault";

const refused = (message: string, status = 400) => new ApiError(status, "bad_pattern", message, "");

describe("faultOf", () => {
  it("finds the character, of a regex by its bytes", () => {
    const fault = faultOf(refused("unbalanced, at position 5"), "regex", "äö→)b");
    expect(fault).toMatchObject({ before: "äö", bad: "→", after: ")b", at: 2, characters: 2 });
    expect(faultOf(refused("unbalanced, at position 7"), "regex", "äö→)b")).toMatchObject({
      before: "äö→",
      bad: ")",
    });
  });

  it("counts characters otherwise, also those of two units", () =>
    expect(faultOf(refused("is not hexadecimal, at position 2"), "binary", "🚩🚩zz")).toMatchObject(
      {
        before: "🚩🚩",
        bad: "z",
        at: 4,
        characters: 2,
      },
    ));

  it("marks the end when something is missing there", () =>
    expect(faultOf(refused("missing ), at position 3"), "regex", "a(b")).toMatchObject({
      before: "a(b",
      bad: "",
      after: "",
      at: 3,
    }));

  it("reads what a search says as well", () =>
    expect(faultOf(refused("search: missing ) at position 3"), "regex", "a(b")?.says).toBe(
      "missing )",
    ));

  it("is not for other errors", () => {
    expect(faultOf(refused("name: too long"), "regex", "a")).toBeNull();
    expect(faultOf(refused("x, at position 1", 503), "regex", "a")).toBeNull();
    expect(faultOf(new Error("x, at position 1"), "regex", "a")).toBeNull();
  });
});
