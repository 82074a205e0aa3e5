import { Overview, OverviewQuery, type WaitingRuns } from "../../protocol/overview.ts";
import type { ListedRun } from "../../protocol/run-lists.ts";
import { withWaiting } from "../scheduling/waiting-in-short.ts";
import type { Services } from "../services.ts";
import { countLive, endedRuns, failingPipelines, oldestQueued } from "../store/overview.ts";
import { defineRoute, type Route } from "./route.ts";

/** Queued runs of which it is said why they wait: those that wait longest. */
const EXPLAINED_MAX = 200;

export function overviewRoute({ database }: Services): Route {
  return defineRoute({
    method: "GET",
    path: "/overview",
    access: { kind: "role", role: "viewer" },
    summary: "What fails and what waits now, and how runs ended in the last hours",
    tag: "runs",
    schemas: { query: OverviewQuery, response: Overview },
    handler: async ({ query: { hours }, project }) => {
      const queued = await oldestQueued(database.pool, project, EXPLAINED_MAX);
      return {
        ...(await endedRuns(database.pool, project, hours)),
        live: await countLive(database.pool, project),
        failing: await failingPipelines(database.pool, project),
        waiting: groupByReason(await withWaiting(database.pool, project, queued)),
      };
    },
  });
}

/** The oldest come first in each group. */
function groupByReason(runs: readonly ListedRun[]): WaitingRuns[] {
  const groups = [...Map.groupBy(runs, ({ waiting }) => waiting!.summary).values()];
  return groups
    .map((group) => {
      const { waiting, id, pipeline, number, createdAt } = group[0]!;
      return { ...waiting!, count: group.length, oldest: { id, pipeline, number, createdAt } };
    })
    .sort((a, b) => b.count - a.count);
}
