/** Asks for the token when the server wants one; the page stays as it is behind it. */

import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useId, useState, type ReactNode, type SubmitEvent } from "react";

import { ApiError, request, setToken } from "../api/client";
import { useLive } from "../api/LiveProvider";
import { sentenceOf } from "../notices/NoticeProvider";
import { Dialog } from "../panels/Dialog";

export function TokenGate({ children }: { children: ReactNode }) {
  const { refused } = useLive();
  const [asked, setAsked] = useRefusals();
  return (
    <>
      {children}
      {(refused || asked) && <Gate passed={() => setAsked(false)} />}
    </>
  );
}

/** Whether something that was asked of the API was refused for want of a token. */
function useRefusals() {
  const client = useQueryClient();
  const state = useState(false);
  const [, setAsked] = state;
  useEffect(() => {
    const look = (event: { type: string; action?: unknown }) => {
      if (isRefusal(event.action)) setAsked(true);
    };
    const stops = [
      client.getQueryCache().subscribe(look),
      client.getMutationCache().subscribe(look),
    ];
    return () => stops.forEach((stop) => stop());
  }, [client, setAsked]);
  return state;
}

function isRefusal(action: unknown): boolean {
  const error = (action as { error?: unknown } | undefined)?.error;
  return error instanceof ApiError && error.status === 401;
}

function Gate({ passed }: { passed: () => void }) {
  const client = useQueryClient();
  const { again } = useLive();
  const [fault, setFault] = useState("");
  const [busy, setBusy] = useState(false);
  const faultId = useId();

  const enter = async (token: string) => {
    setBusy(true);
    setToken(token);
    try {
      await request("/api/health");
      passed();
      again();
      void client.invalidateQueries();
    } catch (error) {
      const wrong = error instanceof ApiError && error.status === 401;
      setFault(wrong ? "that is not the token" : sentenceOf(error));
      setBusy(false);
    }
  };
  const submit = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const token = new FormData(event.currentTarget).get("token");
    if (typeof token === "string" && token.trim()) void enter(token.trim());
  };
  return (
    <Dialog title="This server wants its token" size="small">
      <form className="gate" onSubmit={submit}>
        <p>
          It is in the link that the server printed when it started, after <code>?token=</code>; or
          it was chosen with <code>--api-token</code> or <code>FLOWMATE_API_TOKEN</code>. Whoever
          started the run can tell you.
        </p>
        <label>
          token
          <input
            name="token"
            type="password"
            autoComplete="current-password"
            spellCheck={false}
            data-first
            aria-invalid={fault !== ""}
            aria-describedby={faultId}
          />
        </label>
        <p id={faultId} className="warning" role="alert">
          {fault}
        </p>
        <div>
          <button type="submit" disabled={busy}>
            go on
          </button>
        </div>
      </form>
    </Dialog>
  );
}
