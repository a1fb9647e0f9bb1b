/** Commands by name. */

import type { CommandId } from "../keys/registry";

export function Palette({ run }: { run: (id: CommandId) => boolean }) {
  return <div hidden data-count={run.length} />;
}
