/** What the team decided, in a panel: a table whose rows are switched, edited, deleted for all. */

import type { ReactNode } from "react";

import { useTeamChange } from "../api/useTeamChange";
import { visibleLine } from "../format/visible";
import { sentenceOf } from "../notices/NoticeProvider";
import { DeleteButton } from "./DeleteButton";
import { useRowKeys } from "./useRowKeys";

/** A column's name; those of numbers stand to the right. */
export type Column = string | { number: string };

interface TableProps {
  columns: readonly Column[];
  /** Why what is shown may not be what there is. */
  error: unknown;
  /** Said instead of a table without rows. */
  empty?: string | false | undefined;
  /** Each a `TeamRow`. */
  children: ReactNode;
}

export function TeamTable({ columns, error, empty, children }: TableProps) {
  const rows = useRowKeys<HTMLTableElement>();
  return (
    <>
      {error !== null && <p className="fault">{visibleLine(sentenceOf(error))}</p>}
      {empty ? (
        <p className="empty">{empty}</p>
      ) : (
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
      )}
    </>
  );
}

interface RowProps {
  /** Where the API has it. */
  path: string;
  /** The key of the list that it is in. */
  list: readonly unknown[];
  /** As it is spoken of: "pattern flag". */
  what: string;
  enabled: boolean;
  /** What it does while it is on: "look for flag". */
  does: string;
  onShow?: () => void;
  onEdit?: () => void;
  /** null: it stays. done: said when it is gone. */
  deletion: { label?: string; asks?: string; done?: string } | null;
  /** The cells before the actions. */
  children: ReactNode;
}

export function TeamRow(props: RowProps) {
  const { path, list, what, enabled, does, onShow, onEdit, deletion, children } = props;
  const change = useTeamChange(list);
  const { done, ...asking } = deletion ?? {};
  return (
    <tr data-row tabIndex={-1} data-off={!enabled}>
      {children}
      <td className="actions">
        <label className="panel-check">
          <input
            type="checkbox"
            data-main={onEdit === undefined || undefined}
            checked={enabled}
            aria-label={does}
            onChange={() => change.mutate({ method: "PATCH", path, json: { enabled: !enabled } })}
          />
          on
        </label>{" "}
        {onShow && (
          <button type="button" onClick={onShow} aria-label={`list the streams of ${what}`}>
            list
          </button>
        )}
        {onEdit && (
          <button type="button" data-main onClick={onEdit} aria-label={`edit ${what}`}>
            edit
          </button>
        )}
        {deletion && (
          <DeleteButton
            what={what}
            {...asking}
            onDelete={() => change.mutate({ method: "DELETE", path, ...(done ? { done } : {}) })}
          />
        )}
      </td>
    </tr>
  );
}
