import { z } from "zod";
import { MetricPoint, MetricSummary } from "../../protocol/messages.ts";
import { PageQuery, pageOf } from "../../protocol/resources.ts";
import type { Services } from "../services.ts";
import { listMetricPoints, listMetricSummaries } from "../store/messages.ts";
import { decodeCursor, encodeCursor, nextPage } from "./paging.ts";
import { defineRoute, type Route } from "./route.ts";
import { RunParams, runIdOf } from "./run-reference.ts";

const MetricQuery = PageQuery.extend({
  /** A step run's key, a step's name, or a batch with all its items. */
  step: z.string().max(600).optional(),
  attempt: z.coerce.number().int().min(1).max(10_000).optional(),
  name: z.string().max(200).optional(),
});

export function metricRoutes({ database }: Services): Route[] {
  return [
    defineRoute({
      method: "GET",
      path: "/runs/:run/metrics",
      access: { kind: "role", role: "viewer" },
      summary: "List the metrics that a run's steps reported, value by value",
      tag: "runs",
      schemas: { params: RunParams, query: MetricQuery, response: pageOf(MetricPoint) },
      handler: async ({ params, query: { cursor, limit, step, attempt, name }, project }) => {
        const run = await runIdOf(database.pool, project, params.run);
        const after = cursor === undefined ? null : decodeCursor(PointCursor, cursor);
        const page = { step, attempt, name, after, limit: limit + 1 };
        const points = await listMetricPoints(database.pool, run, page);
        return nextPage(points, limit, (point) => encodeCursor([point.stepRun, point.attempt, point.n]));
      },
    }),
    defineRoute({
      method: "GET",
      path: "/runs/:run/metrics/summary",
      access: { kind: "role", role: "viewer" },
      summary: "List the metrics that a run's steps reported: the last value of each, and how many there are",
      tag: "runs",
      schemas: { params: RunParams, query: MetricQuery, response: pageOf(MetricSummary) },
      handler: async ({ params, query: { cursor, limit, step, attempt, name }, project }) => {
        const run = await runIdOf(database.pool, project, params.run);
        const after = cursor === undefined ? null : decodeCursor(SummaryCursor, cursor);
        const page = { step, attempt, name, after, limit: limit + 1 };
        const summaries = await listMetricSummaries(database.pool, run, page);
        return nextPage(summaries, limit, (one) => encodeCursor([one.stepRun, one.attempt, one.name]));
      },
    }),
  ];
}

const PointCursor = z.tuple([z.string(), z.int(), z.int()]);
const SummaryCursor = z.tuple([z.string(), z.int(), z.string()]);
