/** Short sentences about what somebody did: "copied 3.1 kB", or why it did not work. */

import { createContext, use, useCallback, useEffect, useState, type ReactNode } from "react";

import { ApiError } from "../api/client";
import "./notices.css";

export interface Notice {
  text: string;
  trouble: boolean;
}

type Say = (text: string, options?: { trouble?: boolean }) => void;

const SayContext = createContext<Say>(() => undefined);
const NoticeContext = createContext<Notice | null>(null);
const STAY_MS = 5000;
const TROUBLE_STAYS_MS = 10_000; // it is read before it is understood

/** Say something to whoever looks at the page. */
export function useSay(): Say {
  return use(SayContext);
}

/** An error as a sentence, with what to do where that is known. */
export function sentenceOf(error: unknown): string {
  if (error instanceof ApiError)
    return error.hint ? `${error.message}: ${error.hint}` : error.message;
  return error instanceof Error ? error.message : String(error);
}

export function NoticeProvider({ children }: { children: ReactNode }) {
  const [notice, setNotice] = useState<Notice | null>(null);
  const say = useCallback<Say>(
    (text, options) => setNotice({ text, trouble: options?.trouble ?? false }),
    [],
  );
  useEffect(() => {
    if (notice === null) return;
    const timer = setTimeout(() => setNotice(null), notice.trouble ? TROUBLE_STAYS_MS : STAY_MS);
    return () => clearTimeout(timer);
  }, [notice]);
  return (
    <SayContext value={say}>
      <NoticeContext value={notice}>
        {children}
        <NoticeLine />
      </NoticeContext>
    </SayContext>
  );
}

/** Where the notice is shown. A dialog has its own: what is outside of it is not read aloud. */
export function NoticeLine() {
  const notice = use(NoticeContext);
  return (
    <div className="notice" role="status" data-trouble={notice?.trouble ?? false}>
      {notice?.text}
    </div>
  );
}
