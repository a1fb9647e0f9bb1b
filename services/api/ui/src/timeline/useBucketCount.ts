/** How many buckets the strip has room for; in steps, so that a little more room asks for nothing. */

import { useEffect, useState, type RefObject } from "react";

const BUCKET_PX = 5;
const STEP = 40;
const BUCKETS_MAX = 400;

export function bucketsFor(widthPx: number): number {
  const fit = Math.floor(widthPx / BUCKET_PX / STEP) * STEP;
  return Math.min(BUCKETS_MAX, Math.max(STEP, fit));
}

export function useBucketCount(element: RefObject<HTMLElement | null>): number {
  const [count, setCount] = useState(() => bucketsFor(window.innerWidth));
  useEffect(() => {
    if (element.current === null) return;
    const sizes = new ResizeObserver(([entry]) => {
      if (entry !== undefined) setCount(bucketsFor(entry.contentRect.width));
    });
    sizes.observe(element.current);
    return () => sizes.disconnect();
  }, [element]);
  return count;
}
