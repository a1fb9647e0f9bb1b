/**
 * Everything that can be done from the keyboard, in one table: it drives the listener, the palette
 * and the help sheet. A binding is one key as `KeyboardEvent.key` says it, with `Ctrl+`, `Alt+`,
 * `Shift+` before (Shift only with letters), or two keys after each other, "y t".
 */

export interface Command {
  id: CommandId;
  bindings: readonly string[];
  title: string;
  group: Group;
}

/** In the order of the help. */
export const GROUPS = ["Move", "Stream", "Look", "Copy", "Run", "Page"] as const;
export type Group = (typeof GROUPS)[number];

const TABLE = [
  ["list.next", ["j", "ArrowDown"], "next stream", "Move"],
  ["list.previous", ["k", "ArrowUp"], "previous stream", "Move"],
  ["list.first", ["Home"], "first stream", "Move"],
  ["list.last", ["End"], "last stream", "Move"],
  ["list.pageDown", ["PageDown"], "a page down", "Move"],
  ["list.pageUp", ["PageUp"], "a page up", "Move"],
  ["inspector.open", ["Enter"], "to the inspector", "Move"],
  ["back", ["Escape"], "back: close, leave, unselect", "Move"],
  ["message.next", ["l", "ArrowRight"], "next message", "Move"],
  ["message.previous", ["h", "ArrowLeft"], "previous message", "Move"],
  ["match.next", ["n"], "next match", "Move"],
  ["match.previous", ["Shift+N"], "previous match", "Move"],
  ["match.nextStream", ["Alt+n"], "next stream with a match", "Move"],
  ["stream.favorite", ["f"], "favourite, or no longer", "Stream"],
  ["stream.hide", ["x"], "hide, or show again", "Stream"],
  ["stream.hideRule", ["Shift+X"], "make a hide rule of it", "Stream"],
  ["stream.comment", ["#"], "comment", "Stream"],
  ["stream.tag", ["+"], "tag", "Stream"],
  ["stream.download", ["d"], "download", "Stream"],
  ["look.mode", ["v"], "text, hex, base64", "Look"],
  ["look.decoder", ["m"], "next decoder", "Look"],
  ["look.raw", ["Shift+M"], "as sent, or decoded", "Look"],
  ["look.tab", ["t"], "next tab", "Look"],
  ["copy.text", ["y t"], "copy as text", "Copy"],
  ["copy.hex", ["y h"], "copy as hexadecimal", "Copy"],
  ["copy.base64", ["y b"], "copy as base64", "Copy"],
  ["copy.python", ["y p"], "copy as Python bytes", "Copy"],
  ["copy.curl", ["y c"], "copy the request as curl", "Copy"],
  ["copy.link", ["y l"], "copy a link to this view", "Copy"],
  ["filter.focus", ["/"], "to the filter", "Run"],
  ["filter.clear", ["0"], "clear the filter", "Run"],
  ["filter.matched", ["u"], "matched only", "Run"],
  ["filter.service", ["1…9"], "the service of that place in the rail", "Run"],
  ["run.pause", [" "], "pause, or go on", "Run"],
  ["run.live", ["Shift+L"], "follow the live edge", "Run"],
  ["search.selection", ["Shift+F"], "search the selection everywhere", "Run"],
  ["page.palette", ["Ctrl+k"], "do something by name", "Page"],
  ["page.theme", ["Shift+T"], "dark, light, as the system", "Page"],
  ["page.help", ["?"], "this help", "Page"],
] as const satisfies readonly (readonly [string, readonly string[], string, Group])[];

export type CommandId =
  | (typeof TABLE)[number][0]
  | "panel.patterns"
  | "panel.profiles"
  | "panel.rules"
  | "panel.search"
  | "panel.status"
  | "keys.toggle"
  | "pattern.add";

/** Without keys of their own: by the palette and by buttons. */
const BY_NAME: readonly (readonly [CommandId, string, Group])[] = [
  ["panel.patterns", "patterns", "Page"],
  ["panel.profiles", "profiles", "Page"],
  ["panel.rules", "hide rules", "Page"],
  ["panel.search", "search content", "Page"],
  ["panel.status", "can the capture be trusted?", "Page"],
  ["keys.toggle", "switch single keys off, or on", "Page"],
  ["pattern.add", "make a pattern of the selection", "Run"],
];

export const COMMANDS: readonly Command[] = [
  ...TABLE.map(([id, bindings, title, group]) => ({ id, bindings, title, group })),
  ...BY_NAME.map(([id, title, group]) => ({ id, bindings: [], title, group })),
];

/** A key press as bindings write it. */
export function pressed(event: KeyboardEvent): string {
  const letter = /^[a-zA-Z]$/.test(event.key);
  const shift = event.shiftKey && letter;
  const key = letter ? (shift ? event.key.toUpperCase() : event.key.toLowerCase()) : event.key;
  const parts = [
    event.ctrlKey || event.metaKey ? "Ctrl" : "",
    event.altKey ? "Alt" : "",
    shift ? "Shift" : "",
    key,
  ];
  return parts.filter(Boolean).join("+");
}

const BY_BINDING = new Map(
  COMMANDS.flatMap((command) => command.bindings.map((binding) => [binding, command.id] as const)),
);
const LEADS = new Set(
  [...BY_BINDING.keys()].filter((b) => / ./.test(b)).map((b) => b.split(" ")[0]),
);

export type Pressed =
  | { kind: "command"; id: CommandId; digit?: number }
  | { kind: "lead"; key: string }
  | { kind: "none" };

/** What a key means after `lead` (the first key of two, or ""). */
export function meaning(key: string, lead: string): Pressed {
  const id = BY_BINDING.get(lead ? `${lead} ${key}` : key);
  if (id !== undefined) return { kind: "command", id };
  if (lead) return { kind: "none" };
  if (/^[1-9]$/.test(key)) return { kind: "command", id: "filter.service", digit: Number(key) };
  return LEADS.has(key) ? { kind: "lead", key } : { kind: "none" };
}
