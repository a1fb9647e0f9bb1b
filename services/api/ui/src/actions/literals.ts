/** Octets as programs write them: Python, a regular expression, a shell's words. */

/** A bytes literal of Python (reference, 2.4.1): every octet told, nothing but printable ASCII. */
export function pythonBytes(octets: Uint8Array): string {
  const quote = octets.includes(0x27) && !octets.includes(0x22) ? '"' : "'";
  const NAMED: Record<number, string> = { 9: "\\t", 10: "\\n", 13: "\\r", 92: "\\\\" };
  let text = "";
  for (const octet of octets) {
    const character = String.fromCharCode(octet);
    if (NAMED[octet] !== undefined) text += NAMED[octet];
    else if (character === quote) text += `\\${quote}`;
    else text += isPrintable(octet) ? character : `\\x${hex(octet)}`;
  }
  return `b${quote}${text}${quote}`;
}

/** A regular expression over bytes that finds these octets and no others. */
export function regexOf(octets: Uint8Array): string {
  let text = "";
  for (const octet of octets) {
    const character = String.fromCharCode(octet);
    if (!isPrintable(octet)) text += `\\x${hex(octet)}`;
    else text += /[A-Za-z0-9_<>/:;,=@"'%!`]/.test(character) ? character : `\\${character}`;
  }
  return text;
}

/**
 * One word of a POSIX shell (2.2.2): printable ASCII in single quotes; other octets through printf,
 * whose format is in single quotes as well. No octet is ever read by the shell. What a word cannot
 * hold is left out: NUL, and line ends at its end.
 */
export function shellWord(octets: Uint8Array): string {
  if (octets.every(isPrintable))
    return `'${String.fromCharCode(...octets).replaceAll("'", "'\\''")}'`;
  return `"$(${printf(octets.filter((octet) => octet !== 0))})"`;
}

/**
 * A command of a POSIX shell that writes the octets, whatever they are. `!` is told in digits too:
 * an interactive bash looks for it inside of double quotes; and so is a `-` that would be an option.
 */
export function printf(octets: Uint8Array): string {
  let format = "";
  for (const octet of octets) {
    const character = String.fromCharCode(octet);
    const plain = isPrintable(octet) && !/['%\\!]/.test(character);
    format +=
      plain && (format !== "" || character !== "-")
        ? character
        : `\\${octet.toString(8).padStart(3, "0")}`;
  }
  return `printf '${format}'`;
}

export function isPrintable(octet: number): boolean {
  return octet >= 0x20 && octet < 0x7f;
}

function hex(octet: number): string {
  return octet.toString(16).padStart(2, "0");
}
