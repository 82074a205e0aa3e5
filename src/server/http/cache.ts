import { z } from "zod";
import { resolveParams } from "../../pipeline/params.ts";
import { withVariables } from "../../pipeline/step-variables.ts";
import { CacheAnswer, CacheExplanations, CacheLookups, CachePlan } from "../../protocol/cache.ts";
import { BerthError } from "../../protocol/errors.ts";
import { idOf } from "../../protocol/ids.ts";
import { Name } from "../../protocol/names.ts";
import { CreateRunRequest } from "../../protocol/resources.ts";
import { explainCache, planCache } from "../scheduling/cache.ts";
import { definitionOf } from "../scheduling/create-run.ts";
import { intactHits } from "../scheduling/intact-hits.ts";
import { unknownStep } from "../scheduling/unknown-step.ts";
import type { Services } from "../services.ts";
import { recordAudit } from "../store/audit.ts";
import { findCached, forgetKeys, grantHits } from "../store/cache.ts";
import { requireLease } from "../store/leases.ts";
import { pipelineIdOf, stepNamesOf } from "../store/pipelines.ts";
import { variablesOf } from "../store/variables.ts";
import { workerOf } from "./callers.ts";
import { defineRoute, IN_EVENTS, ONLY_ASKS, type Route } from "./route.ts";
import { RunParams, runIdOf } from "./run-reference.ts";

/** What was made before from the same: asked by agents, explained to people, and given up by them. */
export function cacheRoutes(services: Pick<Services, "database" | "blobs">): Route[] {
  const { database } = services;
  return [
    defineRoute({
      method: "POST",
      path: "/agent/runs/:run/cache",
      access: { kind: "agent", boot: "current" },
      audit: IN_EVENTS,
      summary: "What earlier runs made with the same keys",
      tag: "agent",
      schemas: { params: z.object({ run: idOf("run") }), body: CacheLookups, response: CacheAnswer },
      errors: ["not_found", "stale_epoch"],
      handler: async ({ params: { run }, body: { epoch, lookups }, principal, project }) => {
        const { worker } = workerOf(principal);
        const { pipelineId } = await requireLease(database.pool, { project, worker, run, epoch });
        const hits = await findCached(database.pool, { project, pipelineId }, lookups);
        const intact = await intactHits(services, project, lookups, hits);
        const offered = intact.flatMap((hit, index) =>
          hit === null
            ? []
            : [{ stepRun: lookups[index]!.stepRun, from: hit.run, outputs: Object.keys(hit.outputs).length }],
        );
        const granted = await grantHits(database.pool, run, offered);
        return { hits: intact.map((hit, index) => (granted.has(lookups[index]!.stepRun) ? hit : null)) };
      },
    }),
    defineRoute({
      method: "GET",
      path: "/runs/:run/cache",
      access: { kind: "role", role: "viewer" },
      summary: "What the results of a run's cached steps depended on, and what had changed",
      tag: "runs",
      schemas: {
        params: RunParams,
        query: z.object({ step: z.string().max(600).optional() }),
        response: CacheExplanations,
      },
      errors: ["invalid_params"],
      handler: async ({ params, query: { step }, project }) => {
        const id = await runIdOf(database.pool, project, params.run);
        return explainCache(database.pool, { id, project }, step ?? null);
      },
    }),
    defineRoute({
      method: "POST",
      path: "/cache/plan",
      access: { kind: "role", role: "developer" },
      audit: ONLY_ASKS,
      summary: "What a run would take from the cache, if its images are what they were",
      tag: "pipelines",
      schemas: {
        body: CreateRunRequest.pick({ pipeline: true, fileName: true, params: true, source: true }),
        response: CachePlan,
      },
      errors: ["invalid_params", "invalid_pipeline"],
      handler: async ({ body, project }) => {
        const { plan } = await definitionOf(database.pool, project, body);
        const params = resolveParams(plan, body.params);
        if (!params.ok) {
          throw new BerthError("invalid_params", "The parameters do not fit the pipeline.", {
            problems: params.problems,
          });
        }
        const pipelineId = await pipelineIdOf(database.pool, project, plan.name);
        const followed = withVariables(plan, await variablesOf(database.pool, project));
        const run = { project, pipelineId, plan: followed, params: params.params, source: body.source ?? null };
        return { steps: await planCache(database.pool, run) };
      },
    }),
    defineRoute({
      method: "DELETE",
      path: "/pipelines/:name/cache",
      access: { kind: "role", role: "developer" },
      audit: "cache.forget",
      summary: "Give up what a pipeline made so far: it is not taken by later runs",
      tag: "pipelines",
      schemas: {
        params: z.object({ name: Name }),
        query: z.object({ step: Name.optional() }),
        response: z.object({ forgotten: z.int() }),
      },
      errors: ["not_found", "invalid_params"],
      handler: async ({ params: { name }, query: { step }, project }) => {
        const pipelineId = await pipelineIdOf(database.pool, project, name);
        if (pipelineId === null) throw new BerthError("not_found", `There is no pipeline ${name}.`);
        if (step !== undefined) {
          // What an older version made can be given up as well.
          const steps = await stepNamesOf(database.pool, pipelineId);
          if (!steps.includes(step)) throw unknownStep(name, step, steps);
        }
        return database.transaction(async (client) => {
          const forgotten = await forgetKeys(client, { project, pipelineId, step: step ?? null });
          const details = { step: step ?? null, forgotten };
          await recordAudit(client, { project, action: "cache.forget", subject: name, details });
          return { forgotten };
        });
      },
    }),
  ];
}
