/** From a field back to where keys do something. */
export function leave(field: HTMLElement): void {
  const body = field.closest(".inspector")?.querySelector<HTMLElement>("[role=tabpanel]");
  (body?.querySelector<HTMLElement>("[tabindex='0']") ?? body)?.focus();
  if (document.activeElement === field) field.blur();
}
