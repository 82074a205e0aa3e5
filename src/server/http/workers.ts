import { z } from "zod";
import { BerthError } from "../../protocol/errors.ts";
import { idOf } from "../../protocol/ids.ts";
import { Name } from "../../protocol/names.ts";
import { PageQuery, pageOf, RemovedWorker, WorkerSummary } from "../../protocol/resources.ts";
import { removeWorker } from "../scheduling/remove-worker.ts";
import type { Services } from "../services.ts";
import { recordAudit } from "../store/audit.ts";
import { findWorker, listWorkers, setDraining, type WorkerRow } from "../store/workers.ts";
import { decodeKey, encodeCursor, nextPage } from "./paging.ts";
import { defineRoute, type Route } from "./route.ts";

const WorkerParams = z.object({ worker: z.union([idOf("worker"), Name]) });

export function workerRoutes(services: Services): Route[] {
  const { database, wakeups } = services;
  const show = async (project: string, worker: string): Promise<WorkerSummary> => {
    const row = await findWorker(database.pool, project, worker);
    if (row === null) {
      throw new BerthError("not_found", `There is no worker ${worker}.`, {
        advice: "`berth workers` lists them, and so does GET /api/v1/workers.",
      });
    }
    return shown(row);
  };
  const drain = async (project: string, worker: string, draining: boolean): Promise<WorkerSummary> => {
    const { id, name } = await show(project, worker);
    await database.transaction(async (client) => {
      if (!(await setDraining(client, project, id, draining))) return;
      const action = draining ? "worker.drain" : "worker.undrain";
      await recordAudit(client, { project, action, subject: name, details: { id } });
    });
    // A poll that is held open looks again, and what waits may find it.
    wakeups.notify(`worker:${id}`);
    if (!draining) wakeups.notify("queue");
    return show(project, id);
  };
  return [
    defineRoute({
      method: "GET",
      path: "/workers",
      access: { kind: "role", role: "viewer" },
      summary: "List workers by name",
      tag: "workers",
      schemas: { query: PageQuery, response: pageOf(WorkerSummary) },
      handler: async ({ query: { cursor, limit }, project }) => {
        const page = { after: decodeKey(cursor), limit: limit + 1 };
        const rows = await listWorkers(database.pool, project, page);
        return nextPage(rows.map(shown), limit, ({ name }) => encodeCursor([name]));
      },
    }),
    defineRoute({
      method: "GET",
      path: "/workers/:worker",
      access: { kind: "role", role: "viewer" },
      summary: "Show a worker, by id or by name",
      tag: "workers",
      schemas: { params: WorkerParams, response: WorkerSummary },
      errors: ["not_found"],
      handler: ({ params, project }) => show(project, params.worker),
    }),
    defineRoute({
      method: "POST",
      path: "/workers/:worker/drain",
      access: { kind: "role", role: "operator" },
      audit: "worker.drain",
      summary: "Let a worker end its runs and take no further ones",
      tag: "workers",
      schemas: { params: WorkerParams, response: WorkerSummary },
      errors: ["not_found"],
      handler: ({ params, project }) => drain(project, params.worker, true),
    }),
    defineRoute({
      method: "POST",
      path: "/workers/:worker/undrain",
      access: { kind: "role", role: "operator" },
      audit: "worker.undrain",
      summary: "Let a draining worker take runs again",
      tag: "workers",
      schemas: { params: WorkerParams, response: WorkerSummary },
      errors: ["not_found"],
      handler: ({ params, project }) => drain(project, params.worker, false),
    }),
    defineRoute({
      method: "DELETE",
      path: "/workers/:worker",
      access: { kind: "role", role: "operator" },
      audit: "worker.remove",
      summary: "Remove a worker; with force one that holds runs, which then start again elsewhere",
      tag: "workers",
      schemas: {
        params: WorkerParams,
        query: z.object({ force: z.enum(["true", "false"]).default("false") }),
        response: RemovedWorker,
      },
      errors: ["not_found", "conflict"],
      handler: async ({ params, query, project }) => {
        const released = await removeWorker(services, {
          project,
          worker: params.worker,
          force: query.force === "true",
        });
        return { released };
      },
    }),
  ];
}

function shown({ capabilities, ...row }: WorkerRow): WorkerSummary {
  return {
    id: row.id,
    name: row.name,
    type: row.type,
    pool: row.pool,
    labels: [...row.labels],
    state: row.state,
    agentVersion: row.agentVersion,
    os: capabilities.os,
    arch: capabilities.arch,
    cpus: capabilities.cpus,
    memoryBytes: capabilities.memoryBytes,
    gpus: capabilities.gpus,
    diskFreeBytes: capabilities.diskFreeBytes,
    diskNeededBytes: capabilities.diskNeededBytes ?? 0,
    cache: capabilities.cache ?? null,
    policy: capabilities.policy ?? null,
    backends: Object.keys(capabilities.backends),
    slots: capabilities.slots,
    held: row.held,
    registeredAt: row.registeredAt.toISOString(),
    lastSeenAt: row.lastSeenAt?.toISOString() ?? null,
  };
}
