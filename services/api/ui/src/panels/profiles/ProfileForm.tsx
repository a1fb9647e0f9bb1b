/** A profile that is added or changed: all its fields. */

import { useEffect, useRef, useState, type SubmitEvent } from "react";

import type { Pattern } from "../../api/client";
import { keys } from "../../api/keys";
import { CONTENT_KINDS, PROTOCOLS } from "../../api/names";
import { useTeamChange } from "../../api/useTeamChange";
import { visibleLine } from "../../format/visible";
import { useCommands } from "../../keys/useCommands";
import { sentenceOf } from "../../notices/NoticeProvider";
import { changesOf } from "../changes";
import { ServicesField } from "../fields/ServicesField";
import { draftOf, profileOf, type Draft } from "./draft";
import { HidingList } from "./HidingList";
import type { Profile } from "../../api/queries";

interface Props {
  /** null for a new one. */
  profile: Profile | null;
  /** Those there are: one more of the same id would override it. */
  ids: readonly string[];
  patterns: readonly Pattern[];
  onDone: () => void;
}

export function ProfileForm({ profile, ids, patterns, onDone }: Props) {
  const [draft, setDraft] = useState<Draft>(() => draftOf(profile));
  const [fault, setFault] = useState("");
  const change = useTeamChange(keys.profiles, { quiet: true });
  const first = useRef<HTMLInputElement>(null);
  useCommands({ back: onDone });
  useEffect(() => first.current?.focus(), []);
  const put = (more: Partial<Draft>) => setDraft((before) => ({ ...before, ...more }));

  const save = () => {
    const fields = profileOf(draft);
    if (profile === null) return { method: "POST", path: "/api/profiles", json: fields } as const;
    const json = changesOf(profileOf(draftOf(profile)), fields);
    return { method: "PATCH", path: `/api/profiles/${profile.id}`, json } as const;
  };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    setFault("");
    try {
      change.mutate(save(), {
        onSuccess: onDone,
        onError: (error) => setFault(sentenceOf(error)),
      });
    } catch (error) {
      setFault(sentenceOf(error));
    }
  };
  return (
    <form className="form" onSubmit={submit}>
      <h3 className="wide">{profile ? `change ${visibleLine(profile.id)}` : "a profile"}</h3>
      {profile === null && (
        <label>
          id
          <input
            ref={first}
            required
            pattern="[a-z0-9][a-z0-9_.\-]{0,63}"
            title="lower case, digits, _ . -"
            value={draft.id}
            onChange={(event) => put({ id: event.target.value })}
          />
          {ids.includes(draft.id) && <span className="warning">overrides the one there is</span>}
        </label>
      )}
      <label>
        name
        <input
          ref={profile ? first : null}
          maxLength={128}
          placeholder="as the id"
          value={draft.name}
          onChange={(event) => put({ name: event.target.value })}
        />
      </label>
      <label>
        priority, the highest is used
        <input
          type="number"
          required
          min={-1000}
          max={1000}
          value={draft.priority}
          onChange={(event) => put({ priority: event.target.value })}
        />
      </label>
      <label className="check">
        <input
          type="checkbox"
          checked={draft.enabled}
          onChange={(event) => put({ enabled: event.target.checked })}
        />
        use it
      </label>
      <label className="wide">
        description
        <input
          maxLength={1024}
          value={draft.description}
          onChange={(event) => put({ description: event.target.value })}
        />
      </label>

      <h3 className="wide">which streams: all that is given must hold</h3>
      <Choice
        label="protocol"
        value={draft.protocol}
        names={["", ...PROTOCOLS]}
        onChange={(protocol) => put({ protocol })}
      />
      <Choice
        label="kind of content"
        value={draft.content_kind}
        names={["", ...CONTENT_KINDS]}
        onChange={(content_kind) => put({ content_kind })}
      />
      <label>
        ports, one of them
        <input
          placeholder="80, 8080"
          value={draft.ports}
          onChange={(event) => put({ ports: event.target.value })}
        />
      </label>
      <label className="check">
        <input
          type="checkbox"
          checked={draft.only_matched}
          onChange={(event) => put({ only_matched: event.target.checked })}
        />
        with a match of any pattern
      </label>
      <ServicesField chosen={draft.services} onChange={(services) => put({ services })} />
      <PatternsField
        chosen={draft.pattern_ids}
        patterns={patterns}
        onChange={(pattern_ids) => put({ pattern_ids })}
      />

      <h3 className="wide">how they are looked at</h3>
      <Choice
        label="whose bytes first"
        value={draft.default_direction}
        names={["any", "client", "server"]}
        onChange={(default_direction) => put({ default_direction })}
      />
      <Choice
        label="as"
        value={draft.default_mode}
        names={["text", "hex", "raw"]}
        onChange={(default_mode) => put({ default_mode })}
      />
      <label>
        transforms, in their order
        <input
          placeholder="http_body, json_pretty"
          value={draft.default_transforms}
          onChange={(event) => put({ default_transforms: event.target.value })}
        />
      </label>
      <HidingList
        rules={draft.hide_rules}
        patterns={patterns}
        onChange={(hide_rules) => put({ hide_rules })}
      />
      <label className="wide">
        settings of analyzers, name = value, one a line
        <textarea
          className="mono"
          rows={2}
          spellCheck={false}
          value={draft.analyzer}
          onChange={(event) => put({ analyzer: event.target.value })}
        />
      </label>
      <p className="fault wide" role="alert">
        {visibleLine(fault)}
      </p>
      <div className="toolbar wide">
        <button type="submit" disabled={change.isPending}>
          {profile ? "save" : "add"}
        </button>
        <button type="button" onClick={onDone}>
          cancel
        </button>
      </div>
    </form>
  );
}

interface ChoiceProps<T extends string> {
  label: string;
  value: T;
  names: readonly T[];
  onChange: (value: T) => void;
}

function Choice<T extends string>({ label, value, names, onChange }: ChoiceProps<T>) {
  return (
    <label>
      {label}
      <select value={value} onChange={(event) => onChange(event.target.value as T)}>
        {names.map((name) => (
          <option key={name} value={name}>
            {name || "any"}
          </option>
        ))}
      </select>
    </label>
  );
}

interface PatternsFieldProps {
  chosen: readonly number[];
  patterns: readonly Pattern[];
  onChange: (chosen: number[]) => void;
}

function PatternsField({ chosen, patterns, onChange }: PatternsFieldProps) {
  const toggle = (id: number) =>
    onChange(chosen.includes(id) ? chosen.filter((c) => c !== id) : [...chosen, id]);
  const gone = chosen.filter((id) => !patterns.some((pattern) => pattern.id === id));
  const all = [...patterns, ...gone.map((id) => ({ id, name: `${id}, which is gone` }))];
  return (
    <fieldset className="wide">
      <legend>
        patterns with a match, one of them: {chosen.length > 0 ? "these" : "any or none"}
      </legend>
      <div className="chips">
        {all.map(({ id, name }) => (
          <label key={id}>
            <input type="checkbox" checked={chosen.includes(id)} onChange={() => toggle(id)} />
            <bdi>{visibleLine(name.slice(0, 40))}</bdi>
          </label>
        ))}
      </div>
    </fieldset>
  );
}
