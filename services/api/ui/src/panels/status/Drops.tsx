/** What was not analysed, kept or written: by reason, each in a sentence. */

import { formatCount } from "../../format/numbers";
import { formatAmount, formatSums, reasonOf, sumsOf } from "../../status/drops";

interface Props {
  drops: Record<string, number>;
  totals: Record<string, number>;
}

export function Drops({ drops, totals }: Props) {
  const all = Object.entries(drops).map(([name, count]) => ({ name, count, ...reasonOf(name) }));
  const some = all.filter(({ count }) => count > 0).sort((a, b) => Number(b.lost) - Number(a.lost));
  const none = all.filter(({ count }) => count === 0);
  const gaps = totals["gaps"] ?? 0;
  return (
    <section className="section">
      <h3>Drops</h3>
      <p>
        {`Lost: ${formatSums(sumsOf(drops, true)) || "nothing"}. `}
        {`Left aside: ${formatSums(sumsOf(drops, false)) || "nothing"}. `}
        <span className="muted">
          {gaps > 0 &&
            `Streams have ${formatAmount(totals["gap_bytes"] ?? 0, "bytes")} missing in ` +
              `${gaps === 1 ? "a gap" : `${formatCount(gaps)} gaps`}: they were never captured.`}
        </span>
      </p>
      {some.length > 0 && <Reasons rows={some} />}
      {none.length > 0 && (
        <details>
          <summary>{`${none.length} reasons for which nothing was dropped`}</summary>
          <Reasons rows={none} />
        </details>
      )}
    </section>
  );
}

function Reasons({ rows }: { rows: readonly (ReturnType<typeof reasonOf> & Named)[] }) {
  return (
    <table className="table">
      <thead>
        <tr>
          <th scope="col" className="number">
            how much
          </th>
          <th scope="col">reason</th>
          <th scope="col">what it means</th>
          <th scope="col">counts as</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(({ name, count, unit, lost, means }) => (
          <tr key={name}>
            <td className="number">{formatAmount(count, unit)}</td>
            <td className="mono">{name}</td>
            <td>{means}</td>
            <td className={lost && count > 0 ? "warning" : "muted"}>
              {lost ? (count > 0 ? "⚠ lost" : "lost") : "left aside"}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

interface Named {
  name: string;
  count: number;
}
