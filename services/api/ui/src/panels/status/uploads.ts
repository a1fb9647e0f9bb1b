/** Captures on their way to the server, one after the other; kept while the page is there. */

import { useSyncExternalStore } from "react";

import { upload } from "../../api/upload";

export interface Upload {
  number: number;
  file: File;
  sent: number;
  state: "waiting" | "sending" | "taken" | "failed" | "cancelled";
  /** The name by which health has it among its sources, once it is taken. */
  source: string;
  error: unknown;
}

const KEPT = 50;
const listeners = new Set<() => void>();
const stops = new Map<number, AbortController>();
let all: readonly Upload[] = [];
let numbered = 0;
let busy = false;

export const uploads = {
  read: (): readonly Upload[] => all,
  add(files: Iterable<File>): void {
    const more = [...files].map((file): Upload => {
      const number = ++numbered;
      return { number, file, sent: 0, state: "waiting", source: "", error: null };
    });
    put([...all, ...more].slice(-KEPT));
    void work();
  },
  cancel(number: number): void {
    change(number, { state: "cancelled" });
    stops.get(number)?.abort();
  },
};

export function useUploads(): readonly Upload[] {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, uploads.read);
}

async function work(): Promise<void> {
  if (busy) return;
  busy = true;
  for (let next = waiting(); next !== undefined; next = waiting()) await send(next);
  busy = false;
}

function waiting(): Upload | undefined {
  return all.find(({ state }) => state === "waiting");
}

async function send({ number, file }: Upload): Promise<void> {
  const stop = new AbortController();
  stops.set(number, stop);
  change(number, { state: "sending" });
  try {
    const { source } = await upload(file, (sent) => change(number, { sent }), stop.signal);
    change(number, { state: "taken", sent: file.size, source });
  } catch (error) {
    if (!stop.signal.aborted) change(number, { state: "failed", error });
  } finally {
    stops.delete(number);
  }
}

function change(number: number, more: Partial<Upload>): void {
  put(all.map((each) => (each.number === number ? { ...each, ...more } : each)));
}

function put(next: readonly Upload[]): void {
  all = next;
  for (const listener of listeners) listener();
}
