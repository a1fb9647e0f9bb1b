/** A share as a bar beside its text. */

export function ShareBar({ share, trouble = false }: { share: number; trouble?: boolean }) {
  return (
    <span className="share" data-trouble={trouble} aria-hidden="true">
      <span style={{ width: `${share * 100}%` }} />
    </span>
  );
}
