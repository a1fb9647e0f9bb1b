/** Text to the clipboard; also where the page is not from a secure origin, as on a team's box. */

export async function copyText(text: string): Promise<void> {
  // absent without https, whatever the types say
  const clipboard = navigator.clipboard as Clipboard | undefined;
  try {
    if (clipboard === undefined) throw new Error("no clipboard here");
    await clipboard.writeText(text);
  } catch {
    copyByHand(text);
  }
}

/** Through a copy event of our own; throws when the browser does not let us. */
function copyByHand(text: string): void {
  const write = (event: ClipboardEvent) => {
    event.preventDefault();
    event.stopImmediatePropagation();
    event.clipboardData?.setData("text/plain", text);
  };
  document.addEventListener("copy", write, { capture: true });
  try {
    // deprecated, and the only way there is
    // eslint-disable-next-line @typescript-eslint/no-deprecated
    if (!document.execCommand("copy")) throw new Error("the browser did not let the page copy");
  } finally {
    document.removeEventListener("copy", write, { capture: true });
  }
}
