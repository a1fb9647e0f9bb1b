/** A pattern made of picked octets: as text, as a regular expression, or in hexadecimal. */

import { useQueryClient } from "@tanstack/react-query";
import { useState, type SubmitEvent } from "react";

import { request, type Pattern, type Schemas } from "../api/client";
import { keys } from "../api/keys";
import { visible, visibleLine } from "../format/visible";
import { asText } from "../inspector/octets/text";
import { toHex } from "../inspector/octets/hex";
import { sentenceOf, useSay } from "../notices/NoticeProvider";
import { Dialog } from "../panels/Dialog";
import "./actions.css";
import { regexOf } from "./literals";

type Kind = Pattern["kind"];
type Direction = Pattern["direction"];

const KINDS: readonly { kind: Kind; title: string }[] = [
  { kind: "substring", title: "text" },
  { kind: "regex", title: "regular expression" },
  { kind: "binary", title: "hex" },
];
const DIRECTIONS: readonly Direction[] = ["any", "client", "server"];
const VALUE_MAX = 4096;
const NAME_MAX = 128;

interface Props {
  octets: Uint8Array;
  /** The octets are not in a stream: patterns look at bytes as they were sent. */
  decoded: boolean;
  onClose: () => void;
}

export function PatternDialog({ octets, decoded, onClose }: Props) {
  const client = useQueryClient();
  const say = useSay();
  const [values, setValues] = useState(() => valuesOf(octets));
  const [kind, setKind] = useState<Kind>(values.substring === null ? "binary" : "substring");
  const [name, setName] = useState("");
  const [color, setColor] = useState("");
  const [direction, setDirection] = useState<Direction>("any");
  const [fault, setFault] = useState("");
  const value = values[kind] ?? "";

  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const json: Schemas["NewPattern"] = {
      kind,
      value,
      name,
      color,
      direction,
      services: [],
      enabled: true,
    };
    try {
      const pattern = await request<Pattern>("/api/patterns", { method: "POST", json });
      void client.invalidateQueries({ queryKey: keys.patterns });
      say(
        `${visibleLine(pattern.name.slice(0, 60))}: looked for from now on and in what is retained`,
      );
      onClose();
    } catch (error) {
      setFault(sentenceOf(error));
    }
  };
  return (
    <Dialog title="Add a pattern" size="small" onClose={onClose}>
      <form className="picked-pattern" onSubmit={(event) => void submit(event)}>
        <span>as</span>
        <span className="row" role="radiogroup" aria-label="kind">
          {KINDS.map((each) => (
            <label key={each.kind}>
              <input
                type="radio"
                name="kind"
                data-first={kind === each.kind || undefined}
                checked={kind === each.kind}
                disabled={values[each.kind] === null}
                onChange={() => setKind(each.kind)}
              />{" "}
              {each.title}
            </label>
          ))}
        </span>
        <label className="whole">
          <span className="spoken-only">value</span>
          <textarea
            rows={4}
            required
            maxLength={VALUE_MAX}
            value={value}
            aria-invalid={fault !== ""}
            onChange={(event) => setValues({ ...values, [kind]: event.target.value })}
          />
        </label>
        <label htmlFor="pattern-name">name</label>
        <input
          id="pattern-name"
          maxLength={NAME_MAX}
          placeholder="the value"
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <label htmlFor="pattern-side">whose bytes</label>
        <select
          id="pattern-side"
          value={direction}
          onChange={(event) => setDirection(DIRECTIONS[event.target.selectedIndex] ?? "any")}
        >
          {DIRECTIONS.map((each) => (
            <option key={each}>{each}</option>
          ))}
        </select>
        <label htmlFor="pattern-color">colour</label>
        <span className="row">
          <label>
            <input
              type="checkbox"
              checked={color === ""}
              onChange={(event) => setColor(event.target.checked ? "" : "#ffd166")}
            />{" "}
            chosen for me
          </label>
          <input
            id="pattern-color"
            type="color"
            disabled={color === ""}
            value={color === "" ? "#808080" : color}
            onChange={(event) => setColor(event.target.value)}
          />
        </span>
        {decoded && (
          <p className="whole warning">
            This was decoded. Patterns look at bytes as they were sent: it may not be found there.
          </p>
        )}
        <p className="whole warning" role="alert">
          {visible(fault)}
        </p>
        <span className="whole row end">
          <button type="button" onClick={onClose}>
            cancel
          </button>
          <button type="submit">add</button>
        </span>
      </form>
    </Dialog>
  );
}

/** Of each kind its value; null where the octets cannot be written so. */
function valuesOf(octets: Uint8Array): Record<Kind, string | null> {
  const text = asText(octets);
  const printable = text !== null && !/[\u0000-\u0008\u000e-\u001f\u007f]/.test(text);
  return {
    substring: printable ? fitting(text) : null,
    regex: fitting(regexOf(octets)),
    binary: fitting(toHex(octets)),
  };
}

function fitting(value: string): string | null {
  return value.length <= VALUE_MAX ? value : null;
}
