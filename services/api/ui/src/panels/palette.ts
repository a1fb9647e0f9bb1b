/** Which commands somebody means who types a few letters. */

import type { Command } from "../keys/registry";

/** The best first; all of them, in the table's order, when nothing is typed. */
export function ranked(typed: string, commands: readonly Command[]): Command[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const scored = commands.map((command, place) => ({
    command,
    place,
    score: scoreOf(words, command),
  }));
  return scored
    .filter(({ score }) => score > 0)
    .sort((one, other) => other.score - one.score || one.place - other.place)
    .map(({ command }) => command);
}

/** 0 = not meant. Every word must be found; where a word begins counts more than inside, and
 * letters in their order count least. */
function scoreOf(words: readonly string[], { title, group, id }: Command): number {
  if (words.length === 0) return 1;
  const text = `${title} ${group} ${id.replace(/[.]/g, " ")}`.toLowerCase();
  let sum = 0;
  for (const word of words) {
    const score = scoreOfWord(word, text);
    if (score === 0) return 0;
    sum += score + (title.startsWith(word) ? 2 : 0);
  }
  return sum;
}

function scoreOfWord(word: string, text: string): number {
  if (text.startsWith(word) || text.includes(` ${word}`)) return 8;
  if (text.includes(word)) return 4;
  let at = -1;
  for (const letter of word) {
    at = text.indexOf(letter, at + 1);
    if (at < 0) return 0;
  }
  return 1;
}
