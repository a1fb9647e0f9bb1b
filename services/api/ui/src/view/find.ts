/** What a search of content looks for, as the page's address says it: "any:regex:flag\{". */

export interface Looked {
  direction: "any" | "client" | "server";
  kind: "substring" | "regex" | "binary";
  value: string;
}

/** null when it says nothing of the kind. */
export function parseFind(text: string): Looked | null {
  const form = /^(any|client|server):(substring|regex|binary):(.+)$/s.exec(text);
  if (!form) return null;
  const [direction, kind, value] = form.slice(1);
  return {
    direction: direction as Looked["direction"],
    kind: kind as Looked["kind"],
    value: value ?? "",
  };
}

export function formatFind({ direction, kind, value }: Looked): string {
  return `${direction}:${kind}:${value}`;
}
