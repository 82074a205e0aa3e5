import { z } from "zod";
import { AttemptUsage } from "../../protocol/attempt-usage.ts";
import { PageQuery, pageOf } from "../../protocol/resources.ts";
import type { Services } from "../services.ts";
import { listAttemptUsage } from "../store/attempt-usage.ts";
import { decodeCursor, encodeCursor, nextPage } from "./paging.ts";
import { defineRoute, type Route } from "./route.ts";
import { RunParams, runIdOf } from "./run-reference.ts";

const UsageQuery = PageQuery.extend({
  /** A step run's key, a step's name, or a batch with all its items. */
  step: z.string().max(600).optional(),
  attempt: z.coerce.number().int().min(1).max(10_000).optional(),
});

export function attemptUsageRoute({ database }: Services): Route {
  return defineRoute({
    method: "GET",
    path: "/runs/:run/usage",
    access: { kind: "role", role: "viewer" },
    summary: "List what a run's attempts used, in all and over time",
    tag: "runs",
    schemas: { params: RunParams, query: UsageQuery, response: pageOf(AttemptUsage) },
    handler: async ({ params, query: { cursor, limit, step, attempt }, project }) => {
      const run = await runIdOf(database.pool, project, params.run);
      const after = cursor === undefined ? null : decodeCursor(UsageCursor, cursor);
      const page = await listAttemptUsage(database.pool, run, { step, attempt, after, limit: limit + 1 });
      const cut = nextPage(page, limit, (one) => encodeCursor(one.place));
      return { ...cut, items: cut.items.map(({ place: _place, ...item }) => item) };
    },
  });
}

const UsageCursor = z.tuple([z.int(), z.int(), z.string(), z.int()]);
