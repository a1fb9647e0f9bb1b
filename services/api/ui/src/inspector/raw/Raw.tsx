/** A window of one direction's bytes by its offset, and beside it what decoders make of it. */

import { useCallback, useEffect, useMemo, useRef } from "react";

import { formatBytes, formatCount } from "../../format/numbers";
import { useCommands } from "../../keys/useCommands";
import { go } from "../../view/useView";
import type { Mode } from "../../view/view";
import { placeIn } from "../conversation/marks";
import { noteOf, Steps } from "../conversation/Steps";
import { usePatterns } from "../matches/useMatches";
import { concat } from "../octets/base64";
import { OctetView } from "../octets/OctetView";
import type { Mark } from "../octets/spans";
import { useSource } from "../picked";
import { useShown } from "../profile";
import { ARROW, directionOf, LETTER, sideOf, type Side } from "../sides";
import { Reading } from "../Reading";
import { Trouble } from "../Trouble";
import { DEFAULT_DECODER } from "../transforms";
import type { Row } from "../useStream";
import { Chain, Offset } from "./fields";
import { useContent, type Content } from "./useContent";
import "./raw.css";

const WINDOW = 16 * 1024;
const SIDES: readonly Side[] = ["client", "server"];

export function Raw({ row }: { row: Row }) {
  const view = useShown();
  const { at, mode, decoder } = view;
  const dir = view.dir ?? directionOf(row, view.side ?? "client");
  const start = Math.floor((at ?? 0) / WINDOW) * WINDOW;
  const { data, error, failureReason, isPlaceholderData, refetch } = useContent(row.stream_id_hex, {
    direction: dir,
    start,
    len: WINDOW,
    transform: decoder,
  });
  const side = sideOf(row, dir);
  const end = data?.window.end_of_stream ?? row.directions?.[dir].stream_bytes ?? 0;
  const scroller = useRef<HTMLDivElement>(null);
  const move = (to: number) => go({ at: Math.max(0, to), len: null, match: null });
  const later = start + WINDOW < end;
  useSource(
    useCallback(() => {
      const first = data?.stretches.find((stretch) => stretch.kind === "octets");
      if (data === undefined || first === undefined) return null;
      const pieces = data.stretches.flatMap((each) =>
        each.kind === "octets" ? [each.octets] : [],
      );
      return {
        octets: concat(pieces),
        origin: { direction: dir, start: first.start },
        clipped: false,
      };
    }, [data, dir]),
  );
  useCommands({
    "message.next": () => later && move(start + WINDOW),
    "message.previous": () => start > 0 && move(start - WINDOW),
    "look.raw": () => go({ decoder: decoder === "" ? DEFAULT_DECODER : "" }),
    "inspector.open": () => scroller.current?.focus(),
  });
  useEffect(() => {
    scroller.current?.querySelector("mark.place")?.scrollIntoView({ block: "center" });
  }, [data, at, dir]);
  return (
    <>
      <div className="raw-bar">
        <span className="row" role="group" aria-label="direction">
          {SIDES.map((name) => (
            <button
              key={name}
              type="button"
              className={`small ${name}`}
              aria-pressed={name === side}
              onClick={() => go({ dir: directionOf(row, name), at: null, len: null, match: null })}
            >
              {ARROW[name]} {LETTER[name]} {name}
            </button>
          ))}
        </span>
        <button
          type="button"
          className="small"
          disabled={start === 0}
          onClick={() => move(start - WINDOW)}
        >
          ‹ earlier
        </button>
        <Offset key={`${dir}:${at ?? 0}`} at={at ?? 0} onMove={move} />
        <span className="muted">of {formatCount(end)}</span>
        <button
          type="button"
          className="small"
          disabled={!later}
          onClick={() => move(start + WINDOW)}
        >
          later ›
        </button>
        <Chain key={decoder} decoder={decoder} />
      </div>
      {error ? (
        <Trouble error={error} what="the content" again={() => void refetch()} />
      ) : (
        <div
          ref={scroller}
          className="raw"
          // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it scrolls
          tabIndex={0}
          role="group"
          aria-label="bytes"
          aria-busy={isPlaceholderData}
        >
          {!data && <Reading failure={failureReason} />}
          {data && <Bytes content={data} place={placeIn(view, dir)} mode={mode} side={side} />}
        </div>
      )}
    </>
  );
}

function Bytes({
  content,
  place,
  mode,
  side,
}: {
  content: Content;
  place: Mark | null;
  mode: Mode;
  side: Side;
}) {
  const { window, stretches, decoded } = content;
  const { direction, transform } = window;
  const patterns = usePatterns();
  const marks = useMemo(() => {
    const hits = window.highlights.map(({ pattern_id, start, end }): Mark => ({
      pattern: pattern_id,
      start,
      end,
    }));
    return place ? [...hits, place] : hits;
  }, [window, place]);
  const common = { mode, patterns, marks };
  return (
    <>
      <section className={`said ${side}`} aria-label="as sent">
        {stretches.length === 0 && <p className="note muted">There is nothing here.</p>}
        {stretches.map((stretch) =>
          stretch.kind === "gap" ? (
            <div key={stretch.start} className="gap">
              <span>missing {formatCount(stretch.end - stretch.start)} bytes</span>
            </div>
          ) : (
            <OctetView
              key={stretch.start}
              {...common}
              octets={stretch.octets}
              origin={{ direction, start: stretch.start }}
              group={direction}
            />
          ),
        )}
      </section>
      {transform && decoded && (
        <section aria-label="decoded" className="decoded">
          <div className="turn-head">
            decoded · {formatBytes(decoded.length)} <span className="fill" />
            <Steps steps={transform.steps} />
          </div>
          {transform.steps.map(
            (step, i) =>
              step.note && (
                <p key={i} className={`note ${step.status === "applied" ? "muted" : "warning"}`}>
                  {step.name}: <bdi>{noteOf(step)}</bdi>
                </p>
              ),
          )}
          {transform.truncated_by_limit && (
            <p className="note warning">there is more than the server decodes of one place</p>
          )}
          <OctetView
            octets={decoded}
            mode={mode}
            origin={null}
            group="decoded"
            patterns={patterns}
          />
        </section>
      )}
    </>
  );
}
