/** A panel's table: names of its columns, rows that the keys go through, what can be done at the end. */

import type { ReactNode } from "react";

import { useRowKeys } from "./useRowKeys";

/** A column's name; those of numbers stand to the right. */
export type Column = string | { number: string };

/** Rows are `<tr data-row tabIndex={-1}>`, as useRowKeys.ts has it. */
export function Table({ columns, children }: { columns: readonly Column[]; children: ReactNode }) {
  const rows = useRowKeys<HTMLTableElement>();
  return (
    <table className="table" ref={rows}>
      <thead>
        <tr>
          {columns.map((column) =>
            typeof column === "string" ? (
              <th key={column} scope="col">
                {column}
              </th>
            ) : (
              <th key={column.number} scope="col" className="number">
                {column.number}
              </th>
            ),
          )}
          <th scope="col">
            <span className="spoken-only">actions</span>
          </th>
        </tr>
      </thead>
      <tbody>{children}</tbody>
    </table>
  );
}
