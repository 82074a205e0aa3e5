import { z } from "zod";
import { BerthError } from "../../protocol/errors.ts";
import {
  CancelRunRequest,
  CreateRunRequest,
  PageQuery,
  pageOf,
  RestartedRun,
  RestartRunRequest,
  RunDetail,
  StepRun,
  type StepRun as StepRunResource,
} from "../../protocol/resources.ts";
import { STEP_TRANSITIONS, StepState } from "../../protocol/states.ts";
import { createRun } from "../scheduling/create-run.ts";
import { restartRun } from "../scheduling/restart-run.ts";
import { explainQueued } from "../scheduling/waiting-for-place.ts";
import type { Services } from "../services.ts";
import { listAttempts } from "../store/attempts.ts";
import type { Database, Queryable } from "../store/database.ts";
import { imagesOfRun } from "../store/run-images.ts";
import { findRun } from "../store/runs.ts";
import { countStepRuns, listStepRuns } from "../store/step-runs.ts";
import { bulkRunRoutes } from "./bulk-runs.ts";
import { nameOf } from "./callers.ts";
import { cancelAndWake } from "./cancel-and-wake.ts";
import { decodeCursor, encodeCursor, nextPage } from "./paging.ts";
import { defineRoute, type Route } from "./route.ts";
import { runListRoute } from "./run-list.ts";
import { RunParams, runIdOf } from "./run-reference.ts";

export function runsRoutes(services: Services): Route[] {
  const { database } = services;
  return [
    defineRoute({
      method: "POST",
      path: "/runs",
      access: { kind: "role", role: "developer" },
      audit: "run.submit",
      summary: "Submit a run",
      tag: "runs",
      schemas: { body: CreateRunRequest, response: RunDetail },
      status: 201,
      errors: ["invalid_pipeline", "invalid_params", "missing_blobs", "group_busy", "not_found", "unschedulable"],
      handler: async ({ body, project, principal }) => {
        const run = await createRun(services, { project, by: nameOf(principal) }, body);
        return runDetail(database, project, run);
      },
    }),
    runListRoute(services),
    ...bulkRunRoutes(services),
    defineRoute({
      method: "GET",
      path: "/runs/:run",
      access: { kind: "role", role: "viewer" },
      summary: "Show a run; of a queued one also why it waits",
      tag: "runs",
      schemas: { params: RunParams, response: RunDetail },
      handler: async ({ params, project }) =>
        runDetail(database, project, await runIdOf(database.pool, project, params.run)),
    }),
    defineRoute({
      method: "GET",
      path: "/runs/:run/steps",
      access: { kind: "role", role: "viewer" },
      summary: "List a run's step runs with their attempts, in the order of the pipeline",
      tag: "runs",
      schemas: {
        params: RunParams,
        query: PageQuery.extend({ step: z.string().optional(), state: StepState.optional() }),
        response: pageOf(StepRun),
      },
      handler: async ({ params, query: { step, state, cursor, limit }, project }) => {
        const run = await runIdOf(database.pool, project, params.run);
        const after = cursor === undefined ? null : decodeCursor(StepCursor, cursor);
        const rows = await listStepRuns(database.pool, run, { step, state, after, limit: limit + 1 });
        const page = nextPage(rows, limit, ({ position, item, key }) => encodeCursor([position, item ?? -1, key]));
        return { ...page, items: await withAttempts(database.pool, run, page.items) };
      },
    }),
    defineRoute({
      method: "POST",
      path: "/runs/:run/cancel",
      access: { kind: "role", role: "developer" },
      audit: "run.cancel",
      summary: "Cancel a run",
      tag: "runs",
      schemas: { params: RunParams, body: CancelRunRequest.nullish(), response: RunDetail },
      errors: ["conflict"],
      handler: async ({ params, body, project, principal }) => {
        const run = await runIdOf(database.pool, project, params.run);
        const facts = { by: nameOf(principal), reason: body?.reason ?? null, code: "cancelled" } as const;
        await cancelAndWake(services, { project, run, facts });
        return runDetail(database, project, run);
      },
    }),
    defineRoute({
      method: "POST",
      path: "/runs/:run/restart",
      access: { kind: "role", role: "developer" },
      audit: "run.restart",
      summary: "Run again what did not succeed, as a new run",
      tag: "runs",
      schemas: { params: RunParams, body: RestartRunRequest.nullish(), response: RestartedRun },
      status: 201,
      errors: ["conflict", "group_busy", "invalid_params", "missing_blobs", "unschedulable"],
      handler: async ({ params, body, project, principal }) => {
        const original = await runIdOf(database.pool, project, params.run);
        const made = await restartRun(services, { project, by: nameOf(principal) }, original, body ?? {});
        const changed = [...made.changed].map(([step, what]) => ({ step, what: [...what] }));
        return { ...(await runDetail(database, project, made.id)), changed };
      },
    }),
  ];
}

const StepCursor = z.tuple([z.int(), z.int(), z.string()]);

export async function runDetail(database: Database, project: string, id: string): Promise<RunDetail> {
  const run = await findRun(database.pool, project, id);
  if (run === null) throw new BerthError("not_found", `There is no run ${id}.`);
  const counts = await countStepRuns(database.pool, id);
  const stepCounts = Object.fromEntries(
    (Object.keys(STEP_TRANSITIONS) as StepState[]).map((state) => [state, counts[state] ?? 0]),
  ) as Record<StepState, number>;
  const waiting = run.state === "queued" ? await explainQueued(database.pool, project, run) : null;
  return { ...run, stepCounts, waiting, images: await imagesOfRun(database.pool, id) };
}

async function withAttempts(
  db: Queryable,
  run: string,
  stepRuns: readonly Omit<StepRunResource, "attempts">[],
): Promise<StepRunResource[]> {
  const keys = stepRuns.map(({ key }) => key);
  const byStepRun = Map.groupBy(await listAttempts(db, run, keys), ({ stepRun }) => stepRun);
  return stepRuns.map((stepRun) => ({ ...stepRun, attempts: byStepRun.get(stepRun.key) ?? [] }));
}
