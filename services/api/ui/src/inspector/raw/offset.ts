/** An offset as people write it: decimal or 0x…; null when it is none. */
export function parseOffset(text: string): number | null {
  if (/^0x[0-9a-f]{1,12}$/i.test(text.trim())) return parseInt(text.trim(), 16);
  return /^\d{1,15}$/.test(text.trim()) ? Number(text.trim()) : null;
}
