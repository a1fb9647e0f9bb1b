/** An error at its place in a value, or as a sentence. */

import { visibleLine } from "../../format/visible";
import { sentenceOf } from "../../notices/NoticeProvider";
import { faultOf } from "./fault";

interface Props {
  id: string;
  error: unknown;
  kind: string;
  /** The value that was refused. */
  value: string;
}

export function FaultLine({ id, error, kind, value }: Props) {
  if (error === null || error === undefined) return null;
  const fault = faultOf(error, kind, value);
  return (
    <p id={id} className="fault wide" role="alert">
      {fault ? (
        <>
          <bdi className="mono">
            {visibleLine(fault.before)}
            <mark>{visibleLine(fault.bad) || " ‹here› "}</mark>
            {visibleLine(fault.after)}
          </bdi>
          <br />
          {`at character ${fault.characters + 1}: ${fault.says}`}
        </>
      ) : (
        visibleLine(sentenceOf(error))
      )}
    </p>
  );
}
