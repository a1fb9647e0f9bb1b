/** Captured text made safe to look at: what is invisible or moves other text gets a glyph. */

const SYMBOLS = 0x2400; // U+2400 ␀ … U+241F ␟: pictures of C0 controls
// bidi controls, zero-width characters, separators, interlinear marks, tags, variation selectors
const TRICKS =
  /[\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufe00-\ufe0f]|[\u{e0000}-\u{e0fff}]/gu;
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** Controls and bidi characters as visible glyphs; line ends and tabs stay. */
export function visible(text: string): string {
  return text.replace(CONTROLS, glyph).replace(TRICKS, glyph);
}

/** On one line: line ends and tabs are glyphs as well. */
export function visibleLine(text: string): string {
  return visible(text).replace(/[\n\t]/g, glyph);
}

function glyph(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x20) return String.fromCharCode(SYMBOLS + code);
  if (code === 0x7f) return "\u2421";
  return `‹${code.toString(16).toUpperCase().padStart(4, "0")}›`;
}
