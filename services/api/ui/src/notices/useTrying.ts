/** Things that take a while and may fail: how they went is said either way. */

import { useCallback } from "react";

import { sentenceOf, useSay } from "./NoticeProvider";

/** what: what is the case when it failed, such as "not copied". act: answers what is to be said. */
export function useTrying(): (what: string, act: () => Promise<string>) => void {
  const say = useSay();
  return useCallback(
    (what, act) => {
      act().then(
        (done) => say(done),
        (error: unknown) => say(`${what}: ${sentenceOf(error)}`, { trouble: true }),
      );
    },
    [say],
  );
}
