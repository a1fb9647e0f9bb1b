/** Deletes at the second press: what is deleted is gone for everybody. */

import { useState } from "react";

interface Props {
  /** Such as "pattern flag". */
  what: string;
  /** What it asks before: "with 12 matches?" */
  asks?: string;
  label?: string;
  onDelete: () => void;
}

export function DeleteButton({ what, asks = "really?", label = "delete", onDelete }: Props) {
  const [asking, setAsking] = useState(false);
  return (
    <button
      type="button"
      className={asking ? "warning" : ""}
      aria-label={asking ? `${label} ${what}, ${asks}` : `${label} ${what}`}
      onBlur={() => setAsking(false)}
      onClick={() => {
        if (asking) onDelete();
        setAsking(!asking);
      }}
    >
      {asking ? asks : label}
    </button>
  );
}
