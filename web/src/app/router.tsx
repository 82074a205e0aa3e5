import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import { Frame } from "./frame.tsx";
import { NotFound } from "./not-found.tsx";

/** Every page and its address. Pages are loaded when they are opened. */

const root = createRootRoute({ component: Frame, notFoundComponent: NotFound });

/** A month, as the API has it. */
const HOURS_MAX = 24 * 31;

const home = createRoute({
  getParentRoute: () => root,
  path: "/",
  validateSearch: (search: Record<string, unknown>): { hours?: number | undefined } => {
    const hours = Number(search.hours);
    return { hours: Number.isInteger(hours) && hours >= 1 && hours <= HOURS_MAX ? hours : undefined };
  },
  component: lazyRouteComponent(() => import("../pages/overview/overview-page.tsx"), "OverviewPage"),
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
