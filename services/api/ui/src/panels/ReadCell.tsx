/** How far something is read, as a cell of a table: a bar and a share; empty where no size is known. */

import { formatBytes } from "../format/numbers";
import { formatShare, shareOf } from "../status/health";
import { ShareBar } from "./ShareBar";

export function ReadCell({ position, size }: { position: number; size: number }) {
  const share = shareOf(position, size);
  return (
    <td>
      {share !== null && (
        <>
          <ShareBar share={share} />
          {`${formatShare(share)} of ${formatBytes(size)}`}
        </>
      )}
    </td>
  );
}
