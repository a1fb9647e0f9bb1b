/** A name that somebody else chose, as a cell of a table: cut where it is long, whole in its title. */

import { visibleLine } from "../format/visible";

export function NameCell({ name }: { name: string }) {
  const shown = visibleLine(name);
  return (
    <td className="long" title={shown}>
      <bdi>{shown}</bdi>
    </td>
  );
}
