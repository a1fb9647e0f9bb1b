/** Where the page begins. */

import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { adoptToken, ApiError } from "./api/client";
import { LiveProvider } from "./api/LiveProvider";
import { App } from "./App";
import { expectRows } from "./list/blocks";
import { NoticeProvider } from "./notices/NoticeProvider";
import "./styles/tokens.css";
import "./styles/frame.css";
import { paramsAtOnce } from "./view/useFilter";
import { currentView } from "./view/useView";

adoptToken();

const client = new QueryClient({
  defaultOptions: {
    queries: {
      // the live feed says what changed; nothing is read again only because time went by
      staleTime: Infinity,
      refetchOnWindowFocus: false,
      retry: (count, error) => error instanceof ApiError && error.status === 503 && count < 3,
      networkMode: "always",
    },
    mutations: { networkMode: "always" },
  },
});

const { q, order, search } = currentView();
const params = paramsAtOnce(q, search);
if (params !== null) expectRows(client, { params, order });

const root = document.getElementById("app");
if (root === null) throw new Error("no #app in index.html");
createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={client}>
      <NoticeProvider>
        <LiveProvider>
          <App />
        </LiveProvider>
      </NoticeProvider>
    </QueryClientProvider>
  </StrictMode>,
);
