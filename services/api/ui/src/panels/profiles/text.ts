/** Lists and settings of a profile as they are typed. A fault is thrown as a sentence. */

export type Setting = string | number | boolean;

/** "80, 8080" */
export function parsePorts(text: string): number[] {
  return words(text).map((word) => {
    if (!/^\d{1,5}$/.test(word) || Number(word) > 65535)
      throw new Error(`ports: ${word} is no number up to 65535`);
    return Number(word);
  });
}

/** "http_body, gzip" */
export function parseTransforms(text: string): string[] {
  return words(text).map((word) => {
    if (!/^[a-z0-9_]{1,32}(:[A-Za-z0-9_.-]{1,32})?$/.test(word))
      throw new Error(`transforms: ${word} is no name such as gzip`);
    return word;
  });
}

/** A setting a line: "tls.versions = 1.2". What looks like a number, yes or no is one. */
export function parseSettings(text: string): Record<string, Setting> {
  const settings: Record<string, Setting> = {};
  for (const line of text.split("\n").filter((each) => each.trim() !== "")) {
    const form = /^\s*([^=]*[^=\s])\s*=\s*(.*?)\s*$/.exec(line);
    if (!form) throw new Error(`settings: "${line.trim()}" is not name = value`);
    settings[form[1] ?? ""] = settingOf(form[2] ?? "");
  }
  return settings;
}

/** Text that would be read as something else is written in quotes. */
export function formatSettings(settings: Readonly<Record<string, Setting>>): string {
  return Object.entries(settings)
    .map(([name, value]) => {
      const text = String(value);
      const plain = !/^\s|\s$|\n/.test(text) && settingOf(text) === value;
      return `${name} = ${plain ? text : JSON.stringify(value)}`;
    })
    .join("\n");
}

function settingOf(text: string): Setting {
  if (text === "true" || text === "false") return text === "true";
  if (/^-?\d+(\.\d+)?$/.test(text)) return Number(text);
  if (/^".*"$/.test(text)) {
    try {
      return JSON.parse(text) as string;
    } catch {
      return text;
    }
  }
  return text;
}

function words(text: string): string[] {
  return text.split(/[\s,]+/).filter(Boolean);
}
