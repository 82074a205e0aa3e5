import { z } from "zod";
import { BerthError } from "../../protocol/errors.ts";
import { Name } from "../../protocol/names.ts";
import {
  CollectAnswer,
  CollectRequest,
  HISTORY_DAYS_MAX,
  Quotas,
  SetQuotaRequest,
  StoreUsage,
  type UsedQuota,
} from "../../protocol/usage.ts";
import { BLOB_GRACE_MS, collect } from "../scheduling/collect.ts";
import { NAMELESS_AFTER_MS, sweepObjects } from "../scheduling/sweep-objects.ts";
import type { Services } from "../services.ts";
import { recordAudit } from "../store/audit.ts";
import { countDue } from "../store/expiry.ts";
import { pipelineIdOf } from "../store/pipelines.ts";
import { deleteQuota, listQuotas, putQuota, usedBytes } from "../store/quotas.ts";
import { countUnused } from "../store/unused-blobs.ts";
import { expiringByDay, usageHistory, usageOfPipelines, usageOfTiers } from "../store/usage.ts";
import { nameOf } from "./callers.ts";
import { defineRoute, type Route } from "./route.ts";

const HISTORY_DAYS_DEFAULT = 30;
const EXPIRING_DAYS = 7;
/** Whoever asks for a pass waits for it no longer than this at a time; clients time out after 30 s. */
const COLLECT_MAX_MS = 15_000;

/** What a project has in the store, what it may have, and a pass of the collector on request. */
export function storeUsageRoutes(services: Services): Route[] {
  const { database, quotas } = services;
  const used = async (project: string): Promise<UsedQuota[]> => {
    const rows = await listQuotas(database.pool, project);
    return Promise.all(
      rows.map(async ({ changedAt, ...quota }) => ({
        ...quota,
        changedAt: changedAt.toISOString(),
        usedBytes: await usedBytes(database.pool, project, quota.pipeline),
      })),
    );
  };
  return [
    defineRoute({
      method: "GET",
      path: "/store/usage",
      access: { kind: "role", role: "viewer" },
      summary: "What the project has in the store, now and over time",
      tag: "store",
      schemas: {
        query: z.object({
          /** Whose history. */
          pipeline: Name.optional(),
          days: z.coerce.number().int().min(1).max(HISTORY_DAYS_MAX).default(HISTORY_DAYS_DEFAULT),
        }),
        response: StoreUsage,
      },
      errors: ["not_found"],
      handler: async ({ query: { pipeline, days }, project }): Promise<StoreUsage> => {
        if (pipeline !== undefined) await requirePipeline(services, project, pipeline);
        const tiers = await usageOfTiers(database.pool, project);
        return {
          bytes: tiers.reduce((sum, { bytes }) => sum + bytes, 0),
          tiers,
          pipelines: await usageOfPipelines(database.pool, project),
          expiring: await expiringByDay(database.pool, project, EXPIRING_DAYS),
          quotas: await used(project),
          history: await usageHistory(database.pool, project, { pipeline: pipeline ?? null, days }),
        };
      },
    }),
    defineRoute({
      method: "GET",
      path: "/store/quotas",
      access: { kind: "role", role: "viewer" },
      summary: "How much may be stored, and how much of that is used",
      tag: "store",
      schemas: { response: Quotas },
      handler: async ({ project }) => ({ items: await used(project) }),
    }),
    defineRoute({
      method: "PUT",
      path: "/store/quotas",
      access: { kind: "role", role: "admin" },
      audit: "quota.set",
      summary: "Say how much the project, or one of its pipelines, may store",
      tag: "store",
      schemas: { body: SetQuotaRequest, response: Quotas },
      errors: ["not_found"],
      handler: async ({ body, principal, project }) => {
        if (body.pipeline !== null) await requirePipeline(services, project, body.pipeline);
        await database.transaction(async (client) => {
          await putQuota(client, project, body, nameOf(principal));
          const { pipeline, ...details } = body;
          await recordAudit(client, { project, action: "quota.set", subject: pipeline ?? "project", details });
        });
        quotas.forget(project);
        return { items: await used(project) };
      },
    }),
    defineRoute({
      method: "DELETE",
      path: "/store/quotas",
      access: { kind: "role", role: "admin" },
      audit: "quota.remove",
      summary: "Take a quota back: the project, or the pipeline, may store what there is room for",
      tag: "store",
      schemas: { query: z.object({ pipeline: Name.optional() }), response: null },
      errors: ["not_found"],
      handler: async ({ query: { pipeline }, project }) => {
        await database.transaction(async (client) => {
          if (!(await deleteQuota(client, project, pipeline ?? null))) {
            throw new BerthError("not_found", `${pipeline === undefined ? "The project" : pipeline} has no quota.`);
          }
          await recordAudit(client, { project, action: "quota.remove", subject: pipeline ?? "project" });
        });
        quotas.forget(project);
      },
    }),
    defineRoute({
      method: "POST",
      path: "/store/collect",
      access: { kind: "role", role: "operator" },
      audit: "store.collect",
      summary: "Remove now what has expired, and what nothing refers to; or only say what that would be",
      tag: "store",
      schemas: { body: CollectRequest, response: CollectAnswer },
      handler: async ({ body: { dryRun, graceMs = BLOB_GRACE_MS }, project, signal }): Promise<CollectAnswer> => {
        const limit = AbortSignal.any([signal, AbortSignal.timeout(COLLECT_MAX_MS)]);
        const pass = dryRun
          ? await lookAhead(services, project, graceMs)
          : await collect(services, { project, graceMs, rest: 0, signal: limit });
        // A pass is many transactions; what it did so far is written down even where the rest was cut off.
        const { expired, expiredBytes, blobs, blobBytes } = pass;
        const details = { dryRun, graceMs, expired, expiredBytes, blobs, blobBytes };
        await recordAudit(database.pool, { project, action: "store.collect", subject: "project", details });
        const olderThanMs = Math.max(graceMs, NAMELESS_AFTER_MS);
        const swept = await sweepObjects(services, { project, olderThanMs, dryRun, signal: limit });
        quotas.forget(project);
        const done = pass.done && !limit.aborted;
        return { ...pass, objects: swept.objects, objectBytes: swept.bytes, done };
      },
    }),
  ];
}

/** What a pass would begin with; of the blobs behind versions that go, only what the grace leaves would follow. */
async function lookAhead({ database }: Pick<Services, "database">, project: string, graceMs: number) {
  const { versions, bytes } = await countDue(database.pool, project);
  const unused = await countUnused(database.pool, project, graceMs);
  return { expired: versions, expiredBytes: bytes, blobs: unused.blobs, blobBytes: unused.bytes, done: true };
}

async function requirePipeline({ database }: Pick<Services, "database">, project: string, name: string): Promise<void> {
  if ((await pipelineIdOf(database.pool, project, name)) === null) {
    throw new BerthError("not_found", `There is no pipeline ${name}.`);
  }
}
