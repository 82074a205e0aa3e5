import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { ApiError } from "./api/client.ts";
import { session } from "./api/queries.ts";
import { createAppRouter } from "./app/router.tsx";
import { applyTheme, currentTheme } from "./app/theme.ts";
import "./ui/tokens.css";

/** Asking again helps where nobody answered or the server is busy, and nowhere else. */
const RETRIES_MAX = 3;

function mayPass(error: unknown): boolean {
  return !(error instanceof ApiError) || error.status === 0 || error.status === 429 || error.status >= 500;
}

/** A session that ended while somebody looked: the frame asks for a new one, where they are. */
function onError(error: unknown): void {
  const hadSession = client.getQueryData(session.queryKey) !== undefined;
  if (hadSession && error instanceof ApiError && error.status === 401) void client.invalidateQueries(session);
}

const client: QueryClient = new QueryClient({
  queryCache: new QueryCache({ onError: (error, { queryKey }) => queryKey[0] !== "session" && onError(error) }),
  mutationCache: new MutationCache({ onError }),
  defaultOptions: {
    queries: { retry: (count, error) => count < RETRIES_MAX && mayPass(error), staleTime: 1_000 },
  },
});

applyTheme(currentTheme());
const root = document.getElementById("root");
if (root === null) throw new Error("the page has no root");
createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={client}>
      <RouterProvider router={createAppRouter()} />
    </QueryClientProvider>
  </StrictMode>,
);
