/** Which streams to hide: a kind, and a value of that kind. */

import { CONTENT_KINDS, PROTOCOLS, SERVICES, STATUSES } from "../../api/names";
import type { Pattern, Schemas } from "../../api/client";
import { hideRuleKindValues } from "../../api/schema";
import { visibleLine } from "../../format/visible";

export type Hiding = Schemas["Hiding"];
export type HidingKind = Hiding["kind"];

export const KIND_NAMES: Record<HidingKind, string> = {
  service: "service",
  port: "port",
  addr: "address",
  protocol: "protocol",
  content_kind: "kind of content",
  status: "status",
  pattern: "pattern",
  tag: "tag",
  stream: "stream",
};
const CHOICES: Partial<Record<HidingKind, readonly string[]>> = {
  service: SERVICES,
  protocol: PROTOCOLS,
  content_kind: CONTENT_KINDS,
  status: STATUSES,
};
const EXAMPLES: Partial<Record<HidingKind, string>> = {
  port: "8080",
  addr: "10.0.0.0/8",
  tag: "checker",
  stream: "16 hexadecimal digits",
};

interface Props {
  /** As typed; "" when nothing was chosen yet. */
  hiding: Hiding;
  patterns: readonly Pattern[];
  onChange: (hiding: Hiding) => void;
}

export function HidingField({ hiding, patterns, onChange }: Props) {
  const { kind, value } = hiding;
  const put = (text: string) => onChange({ kind, value: valueOf(kind, text) });
  return (
    <>
      <label>
        hide by
        <select
          value={kind}
          onChange={(event) => onChange({ kind: event.target.value as HidingKind, value: "" })}
        >
          {hideRuleKindValues.map((name) => (
            <option key={name} value={name}>
              {KIND_NAMES[name]}
            </option>
          ))}
        </select>
      </label>
      <label>
        {KIND_NAMES[kind]}
        {CHOICES[kind] || kind === "pattern" ? (
          <select required value={value} onChange={(event) => put(event.target.value)}>
            <option value="">choose</option>
            {choicesOf(kind, patterns).map(([of, text]) => (
              <option key={of} value={of}>
                {text}
              </option>
            ))}
          </select>
        ) : (
          <input
            required
            maxLength={256}
            inputMode={kind === "port" ? "numeric" : "text"}
            pattern={kind === "port" ? "[0-9]{1,5}" : undefined}
            title={EXAMPLES[kind]}
            placeholder={EXAMPLES[kind]}
            spellCheck={false}
            autoComplete="off"
            value={value}
            onChange={(event) => put(event.target.value)}
          />
        )}
      </label>
    </>
  );
}

function choicesOf(kind: HidingKind, patterns: readonly Pattern[]): [string, string][] {
  if (kind === "pattern")
    return patterns.map(({ id, name }) => [String(id), visibleLine(name.slice(0, 80))]);
  return (CHOICES[kind] ?? []).map((name) => [name, name]);
}

/** Ports and patterns are numbers. */
export function valueOf(kind: HidingKind, text: string): number | string {
  const trimmed = text.trim();
  const isNumber = (kind === "port" || kind === "pattern") && /^\d{1,9}$/.test(trimmed);
  return isNumber ? Number(trimmed) : text;
}

/** "service dns", "pattern flag". */
export function describe({ kind, value }: Hiding, patterns: readonly Pattern[]): string {
  const pattern = patterns.find((each) => kind === "pattern" && each.id === Number(value));
  return `${KIND_NAMES[kind]} ${pattern ? pattern.name : value}`;
}
