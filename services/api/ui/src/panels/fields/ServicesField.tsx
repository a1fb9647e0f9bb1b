/** Services, by their chips; none chosen = all. */

import { SERVICES } from "../../api/names";

interface Props {
  chosen: readonly string[];
  onChange: (chosen: string[]) => void;
}

const NAMED = SERVICES.filter((name) => name !== "unknown");

export function ServicesField({ chosen, onChange }: Props) {
  const toggle = (name: string) =>
    onChange(chosen.includes(name) ? chosen.filter((c) => c !== name) : [...chosen, name]);
  return (
    <fieldset className="wide">
      <legend>services: {chosen.length > 0 ? "these" : "all"}</legend>
      <div className="chips">
        {NAMED.map((name) => (
          <label key={name}>
            <input type="checkbox" checked={chosen.includes(name)} onChange={() => toggle(name)} />
            {name}
          </label>
        ))}
      </div>
    </fieldset>
  );
}
