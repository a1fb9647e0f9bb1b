/** A binding as it is printed on keys. */

const NAMES: Record<string, string> = {
  " ": "Space",
  ArrowDown: "↓",
  ArrowUp: "↑",
  ArrowLeft: "←",
  ArrowRight: "→",
  Escape: "Esc",
  PageDown: "PgDn",
  PageUp: "PgUp",
};

/** "Shift+N" -> [["Shift", "N"]], "y t" -> [["y"], ["t"]]. */
export function capsOf(binding: string): string[][] {
  const strokes = binding === " " ? [" "] : binding.split(" ");
  return strokes.map((stroke) => {
    const keys = stroke === "+" ? ["+"] : stroke.split("+");
    return keys.map(
      (key) => NAMES[key] ?? (key.length === 1 && keys.length > 1 ? upper(key) : key),
    );
  });
}

function upper(key: string): string {
  return key.toUpperCase();
}

export function Kbd({ binding }: { binding: string }) {
  const caps = capsOf(binding);
  return (
    <span className="kbd">
      {caps.map((stroke, at) => (
        <span key={at}>
          {at > 0 && <span className="muted"> then </span>}
          {stroke.map((key, place) => (
            <span key={key}>
              {place > 0 && "+"}
              <kbd>{key}</kbd>
            </span>
          ))}
        </span>
      ))}
    </span>
  );
}
