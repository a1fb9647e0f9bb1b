/** Numbers for people: counts, bytes, times. Times are µs since the epoch, shown in UTC. */

/** Made once: `toLocaleString` makes its own each time. */
const COUNT = new Intl.NumberFormat("en-US");

export function formatCount(count: number): string {
  return COUNT.format(count);
}

/** 3 significant digits, decimal units: 3.14 kB. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  let value = bytes;
  let unit = -1;
  do {
    value /= 1000;
    unit++;
  } while (value >= 999.5 && unit < 4);
  const digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${"kMGTP".charAt(unit)}B`;
}

/** 412 k: rates and counts where space is small. */
export function formatShort(count: number): string {
  if (count < 1000) return `${Math.round(count)}`;
  return formatBytes(count).replace("B", "").trim();
}

/** 09:16:04 */
export function formatTime(us: number): string {
  return iso(us).slice(11, 19);
}

/** 2026-11-26 09:16:04.000123 */
export function formatDateTime(us: number): string {
  const micros = String(((us % 1_000_000) + 1_000_000) % 1_000_000).padStart(6, "0");
  return `${iso(us).slice(0, 19).replace("T", " ")}.${micros}`;
}

/** 29 ms, 1.5 s, 3 min 20 s. */
export function formatDuration(us: number): string {
  if (us < 0) return `-${formatDuration(-us)}`;
  if (us < 1000) return `${us} µs`;
  if (us < 1_000_000) return `${trimmed(us / 1000)} ms`;
  const seconds = us / 1_000_000;
  if (seconds < 60) return `${trimmed(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

function trimmed(value: number): string {
  return value < 10 ? value.toFixed(1).replace(/\.0$/, "") : String(Math.floor(value));
}

function iso(us: number): string {
  const ms = Math.floor(us / 1000);
  return Number.isNaN(new Date(ms).getTime()) ? "????-??-??T??:??:??" : new Date(ms).toISOString();
}

/** An endpoint: 10.0.0.7:40112, [fe80::1]:53. */
export function formatEndpoint(end: { addr: string; port: number }, withPort = true): string {
  const addr = end.addr.includes(":") && withPort ? `[${end.addr}]` : end.addr;
  return withPort ? `${addr}:${end.port}` : addr;
}
