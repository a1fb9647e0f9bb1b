/**
 * Octets as a text on the page, of which each character knows its octets.
 *
 * `from[i]`, `to[i]`: the octets that UTF-16 unit i stands for, offsets in what is shown. Both only
 * grow. What stands between octets has from = to = the octet behind it.
 */

export interface Shown {
  text: string;
  from: Uint32Array;
  to: Uint32Array;
}

/** The octets of the units [start, end); null when there are none. */
export function octetsOf(shown: Shown, start: number, end: number): [number, number] | null {
  const low = shown.from[Math.max(0, start)];
  const high = shown.to[Math.min(end, shown.text.length) - 1];
  return low !== undefined && high !== undefined && low < high ? [low, high] : null;
}

/** The units of the octets [start, end): all that stand for one of them, none that stands around. */
export function unitsOf(shown: Shown, start: number, end: number): [number, number] {
  const low = firstAbove(shown.to, start);
  return [low, Math.max(low, firstAbove(shown.from, end - 1))];
}

/** Index of the first value greater than `limit` in a sequence that only grows. */
function firstAbove(values: Uint32Array, limit: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((values[middle] ?? 0) > limit) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Puts a Shown together; room for `units`. */
export class Writer {
  private readonly units: Uint16Array<ArrayBuffer>;
  private readonly from: Uint32Array;
  private readonly to: Uint32Array;
  private length = 0;

  constructor(units: number) {
    this.units = new Uint16Array(units);
    this.from = new Uint32Array(units);
    this.to = new Uint32Array(units);
  }

  unit(code: number, from: number, to: number): void {
    this.units[this.length] = code;
    this.from[this.length] = from;
    this.to[this.length] = to;
    this.length++;
  }

  text(text: string, from: number, to: number): void {
    for (let i = 0; i < text.length; i++) this.unit(text.charCodeAt(i), from, to);
  }

  done(): Shown {
    return {
      text: UTF16.decode(this.units.subarray(0, this.length)),
      from: this.from.subarray(0, this.length),
      to: this.to.subarray(0, this.length),
    };
  }
}

const UTF16 = new TextDecoder("utf-16le", { ignoreBOM: true });
