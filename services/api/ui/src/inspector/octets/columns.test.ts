import { afterEach, describe, expect, it } from "vitest";

import { pickedIn, showIn } from "./columns";
import { showText } from "./text";

const utf8 = (text: string) => new TextEncoder().encode(text);

/** A column whose text lies in several nodes, as marks make it. */
function column(text: string, start: number, group: string, cuts: number[] = [], kind = "text") {
  const element = document.createElement("pre");
  element.dataset["octets"] = "";
  const octets = utf8(text);
  const shown = showText(octets);
  [0, ...cuts].forEach((cut, i) => {
    const mark = document.createElement("mark");
    mark.append(shown.text.slice(cut, cuts[i]));
    element.append(mark);
  });
  showIn(element, { shown, octets, origin: { direction: "a_to_b", start }, group, kind });
  document.body.append(element);
  return element;
}

function range(from: Node, start: number, to: Node, end: number): Range {
  const made = document.createRange();
  made.setStart(from, start);
  made.setEnd(to, end);
  return made;
}

const leaf = (element: Element, i: number) => element.children[i]?.firstChild ?? element;

afterEach(() => document.body.replaceChildren());

describe("octets of a selection", () => {
  it("finds them behind characters of several octets, over marks", () => {
    const element = column("é=漢flag", 100, "c", [2, 3]);
    const picked = pickedIn(range(leaf(element, 1), 0, leaf(element, 2), 2));
    expect(picked).toMatchObject({
      clipped: false,
      origin: { direction: "a_to_b", start: 103 },
    });
    expect(new TextDecoder().decode(picked?.octets)).toBe("漢fl");
  });

  it("goes on over the columns of a group, and stops where another begins", () => {
    const first = column("abc", 0, "turn");
    column("def", 3, "turn");
    const last = column("xyz", 0, "other");
    const picked = pickedIn(range(leaf(first, 0), 1, leaf(last, 0), 2));
    expect(picked).toMatchObject({ clipped: true, origin: { start: 1 } });
    expect(new TextDecoder().decode(picked?.octets)).toBe("bcdef");
  });

  it("takes octets once where two columns show them", () => {
    const first = column("abc", 0, "turn", [], "hex");
    column("abc", 0, "turn", [], "ascii");
    const last = column("def", 3, "turn", [], "hex");
    const picked = pickedIn(range(leaf(first, 0), 0, leaf(last, 0), 3));
    expect(picked?.clipped).toBe(false);
    expect(new TextDecoder().decode(picked?.octets)).toBe("abcdef");
  });

  it("finds nothing beside of columns", () => {
    const beside = document.createElement("p");
    beside.append("text");
    document.body.append(beside);
    expect(pickedIn(range(leaf(beside, 0), 0, beside, 1))).toBeNull();
  });
});
