import { z } from "zod";
import { BerthError } from "../../protocol/errors.ts";
import {
  CancelRunRequest,
  CreateRunRequest,
  PageQuery,
  pageOf,
  RestartedRun,
  RestartRunRequest,
  Run,
  RunDetail,
  StepRun,
  type StepRun as StepRunResource,
} from "../../protocol/resources.ts";
import { RunState, STEP_TRANSITIONS, StepState } from "../../protocol/states.ts";
import { cancelRun } from "../scheduling/cancel.ts";
import { createRun } from "../scheduling/create-run.ts";
import { restartRun } from "../scheduling/restart-run.ts";
import { explainQueued } from "../scheduling/waiting-for-place.ts";
import type { Services } from "../services.ts";
import { listAttempts } from "../store/attempts.ts";
import type { Database, Queryable } from "../store/database.ts";
import { imagesOfRun } from "../store/run-images.ts";
import { findRun, listRuns } from "../store/runs.ts";
import { countStepRuns, listStepRuns } from "../store/step-runs.ts";
import { nameOf } from "./callers.ts";
import { decodeCursor, decodeKey, encodeCursor, nextPage } from "./paging.ts";
import { defineRoute, type Route } from "./route.ts";
import { RunParams, runIdOf } from "./run-reference.ts";

export function runsRoutes(services: Services): Route[] {
  const { database, wakeups } = services;
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
    defineRoute({
      method: "GET",
      path: "/runs",
      access: { kind: "role", role: "viewer" },
      summary: "List runs, newest first",
      tag: "runs",
      schemas: {
        query: PageQuery.extend({
          /** One state, or several with commas between. */
          state: z
            .string()
            .transform((text) => text.split(","))
            .pipe(z.array(RunState))
            .optional(),
          pipeline: z.string().optional(),
        }),
        response: pageOf(Run),
      },
      handler: async ({ query: { state, pipeline, cursor, limit }, project }) => {
        const runs = await listRuns(database.pool, project, {
          ...{ pipeline, states: state, limit: limit + 1 },
          before: decodeKey(cursor),
        });
        return nextPage(runs, limit, ({ id }) => encodeCursor([id]));
      },
    }),
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
        const { worker } = await cancelRun(services, {
          ...{ project, run },
          facts: { by: nameOf(principal), reason: body?.reason ?? null, code: "cancelled" },
        });
        wakeups.notify(`run:${run}`);
        if (worker !== null) wakeups.notify(`worker:${worker}`);
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
