import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from "@tanstack/react-router";
import { Frame } from "./frame.tsx";
import { NotFound } from "./not-found.tsx";

/** Every page and its address. Pages are loaded when they are opened. */

const root = createRootRoute({ component: Frame, notFoundComponent: NotFound });

const home = createRoute({
  getParentRoute: () => root,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/runs" });
  },
});

const text = (value: unknown): string | undefined =>
  typeof value === "string" || typeof value === "number" ? String(value) : undefined;

export const runsRoute = createRoute({
  getParentRoute: () => root,
  path: "/runs",
  validateSearch: (search: Record<string, unknown>): { state?: string | undefined; text?: string | undefined } => ({
    state: text(search.state),
    text: text(search.text),
  }),
  component: lazyRouteComponent(() => import("../pages/runs/runs-page.tsx"), "RunsPage"),
});

export const runRoute = createRoute({
  getParentRoute: () => root,
  path: "/runs/$pipeline/$number",
  validateSearch: (search: Record<string, unknown>): { step?: string | undefined } => ({ step: text(search.step) }),
  component: lazyRouteComponent(() => import("../pages/run/run-page.tsx"), "RunPage"),
});

export const createAppRouter = () => createRouter({ routeTree: root.addChildren([home, runsRoute, runRoute]) });

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof createAppRouter>;
  }
}
