/** Short sentences about what somebody did: "copied 3.1 kB", or why it did not work. */

import { createContext, use, useCallback, useEffect, useState, type ReactNode } from "react";

import { ApiError } from "../api/client";
import "./notices.css";

export interface Notice {
  text: string;
  trouble: boolean;
}

type Say = (text: string, options?: { trouble?: boolean }) => void;

const NoticeContext = createContext<Say>(() => undefined);
const STAY_MS = 5000;

/** Say something to whoever looks at the page. */
export function useSay(): Say {
  return use(NoticeContext);
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
    const timer = setTimeout(() => setNotice(null), STAY_MS);
    return () => clearTimeout(timer);
  }, [notice]);
  return (
    <NoticeContext value={say}>
      {children}
      <div
        className="notice"
        role="status"
        aria-live="polite"
        data-trouble={notice?.trouble ?? false}
      >
        {notice?.text}
      </div>
    </NoticeContext>
  );
}
