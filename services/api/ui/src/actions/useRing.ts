/** Whether this run keeps captured packets. */

import { useQuery } from "@tanstack/react-query";

import { healthQuery } from "../api/queries";
import { hasRing } from "../status/health";

export function useRing(): boolean {
  return useQuery({ ...healthQuery(), select: ({ budgets }) => hasRing(budgets) }).data ?? false;
}
