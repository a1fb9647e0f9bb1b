/** The line between two regions: dragged, or moved with the arrow keys; double click puts it back. */

import type { KeyboardEvent, PointerEvent } from "react";

import "./resizer.css";

interface Props {
  /** What gets wider or narrower. */
  name: string;
  className: string;
  width: number;
  min: number;
  max: number;
  initial: number;
  /** The region lies on the right of the line: it gets wider as the line goes left. */
  fromRight?: boolean;
  resized: (width: number) => void;
}

const STEP_PX = 16;

export function Resizer(props: Props) {
  const { name, className, width, min, max, initial, fromRight = false, resized } = props;
  const set = (wanted: number) => resized(Math.round(Math.min(max, Math.max(min, wanted))));
  const onKey = (event: KeyboardEvent) => {
    const step = (event.shiftKey ? 4 : 1) * STEP_PX * (fromRight ? -1 : 1);
    const to = {
      ArrowLeft: width - step,
      ArrowRight: width + step,
      Home: min,
      End: max,
    }[event.key];
    if (to === undefined) return;
    set(to);
    event.preventDefault();
    event.stopPropagation();
  };
  const onDown = (event: PointerEvent<HTMLElement>) => {
    const line = event.currentTarget;
    const begin = event.clientX;
    const move = (moved: globalThis.PointerEvent) =>
      set(width + (moved.clientX - begin) * (fromRight ? -1 : 1));
    line.setPointerCapture(event.pointerId);
    line.addEventListener("pointermove", move);
    line.addEventListener(
      "lostpointercapture",
      () => line.removeEventListener("pointermove", move),
      {
        once: true,
      },
    );
    event.preventDefault();
    line.focus({ preventScroll: true });
  };
  return (
    // a separator that can be moved is a control (ARIA 1.2, separator)
    // eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <div
      className={`resizer ${className}`}
      role="separator"
      aria-orientation="vertical"
      aria-label={`width of ${name}`}
      aria-valuenow={width}
      aria-valuemin={min}
      aria-valuemax={max}
      // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
      tabIndex={0}
      onKeyDown={onKey}
      onPointerDown={onDown}
      onDoubleClick={() => set(initial)}
    />
  );
}
