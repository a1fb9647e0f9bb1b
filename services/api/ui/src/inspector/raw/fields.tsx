/** What is typed to get to a window: an offset, a chain of decoders. */

import { useState } from "react";

import { go } from "../../view/useView";
import { TRANSFORMS } from "../transforms";
import { parseOffset } from "./offset";

/** An offset, decimal or 0x…; Enter goes there. */
export function Offset({ at, onMove }: { at: number; onMove: (to: number) => void }) {
  const [text, setText] = useState(String(at));
  const wanted = parseOffset(text);
  return (
    <input
      className="mono offset"
      aria-label="offset"
      title="offset, decimal or 0x…; Enter goes there"
      value={text}
      aria-invalid={wanted === null}
      onChange={(event) => setText(event.target.value)}
      onKeyDown={(event) => {
        if (event.key === "Enter" && wanted !== null) onMove(wanted);
      }}
    />
  );
}

/** A chain of decoders; Enter applies it. */
export function Chain({ decoder }: { decoder: string }) {
  const [text, setText] = useState(decoder);
  const names = text.split(/[\s,→]+/).filter(Boolean);
  const unknown = names.find((name) => !TRANSFORMS.some((known) => known === name));
  return (
    <>
      <input
        className="mono chain"
        aria-label="decoders"
        placeholder="decoders: gzip, url_decode…"
        list="transforms"
        value={text}
        aria-invalid={unknown !== undefined}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && unknown === undefined) go({ decoder: names.join(",") });
        }}
      />
      {unknown !== undefined && <span className="warning">{unknown} is no decoder</span>}
      <datalist id="transforms">
        {TRANSFORMS.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
    </>
  );
}
