/** A request and its answer: what their headers say, their bodies. */

import { useState } from "react";

import { useCommands } from "../../keys/useCommands";
import { formatDateTime } from "../../format/numbers";
import { visible, visibleLine } from "../../format/visible";
import { go } from "../../view/useView";
import { ARROW, LETTER, sideOf } from "../sides";
import type { Row } from "../useStream";
import { BodyView } from "./BodyView";
import { headersOf, type Exchange } from "./exchanges";
import type { Message } from "./useMessages";

const VALUE_MAX = 4096;
/** Of HTTP the rest is in the first line and the headers. */
const HTTP_FACTS = new Set(["body_framing", "note"]);

export function ExchangeDetail({ row, exchange }: { row: Row; exchange: Exchange }) {
  const [decoded, setDecoded] = useState(true);
  const swap = () => setDecoded(!decoded);
  useCommands({ "look.raw": swap });
  const told = exchange.answer ? [exchange.first, exchange.answer] : [exchange.first];
  return (
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it scrolls
    <div className="exchange" tabIndex={0} role="group" aria-label="the chosen message">
      {told.map((message) => (
        <MessageDetail
          key={message.message_id}
          row={row}
          message={message}
          decoded={decoded}
          onSwap={swap}
        />
      ))}
    </div>
  );
}

interface Props {
  row: Row;
  message: Message;
  decoded: boolean;
  onSwap: () => void;
}

function MessageDetail({ row, message, decoded, onSwap }: Props) {
  const side = sideOf(row, message.direction);
  const { direction, start } = message;
  const facts = Object.entries(message.detail).filter(
    ([name, value]) => (message.protocol !== "http1" || HTTP_FACTS.has(name)) && !isEmpty(value),
  );
  return (
    <article aria-label={message.kind}>
      <div className={`turn-head ${side}`}>
        <span className="place">
          {ARROW[side]} {LETTER[side]}
        </span>
        <bdi className="summary">{visibleLine(message.summary.slice(0, VALUE_MAX))}</bdi>
        <span className="muted">{formatDateTime(message.ts_us)}</span>
        {message.status !== "complete" && (
          <span className="warning">
            {message.status.replace("_", " ")}
            {message.note && `: ${message.note.replaceAll("_", " ")}`}
          </span>
        )}
        <span className="fill" />
        <button
          type="button"
          className="small"
          onClick={() =>
            go({ tab: "conversation", dir: direction, at: start, len: null, match: null })
          }
        >
          in the conversation
        </button>
      </div>
      <dl className="fields">
        {headersOf(message).map(([name, value], i) => (
          <Field key={i} name={name} value={value} />
        ))}
      </dl>
      <dl className="fields facts">
        {facts.map(([name, value]) => (
          <Field key={name} name={name.replaceAll("_", " ")} value={written(value)} />
        ))}
      </dl>
      {message.body_start !== null && (
        <BodyView message={message} decoded={decoded} onSwap={onSwap} />
      )}
    </article>
  );
}

function Field({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>
        <bdi>{visibleLine(name.slice(0, VALUE_MAX))}</bdi>
      </dt>
      <dd>
        <bdi>{visible(value.slice(0, VALUE_MAX))}</bdi>
        {value.length > VALUE_MAX && " …"}
      </dd>
    </div>
  );
}

function isEmpty(value: unknown): boolean {
  return value === null || value === "" || (Array.isArray(value) && value.length === 0);
}

/** A value of a detail in a line, or in lines where it has parts. */
function written(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  if (Array.isArray(value) && value.every((each) => typeof each !== "object"))
    return value.join(", ");
  return JSON.stringify(value, null, 1);
}
