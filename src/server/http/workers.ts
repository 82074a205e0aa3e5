import { z } from "zod";
import { BerthError } from "../../protocol/errors.ts";
import { idOf } from "../../protocol/ids.ts";
import { Name } from "../../protocol/names.ts";
import { PageQuery, pageOf, WorkerSummary } from "../../protocol/resources.ts";
import type { Services } from "../services.ts";
import { findWorker, listWorkers, type WorkerRow } from "../store/workers.ts";
import { nextPage } from "./paging.ts";
import { defineRoute, type Route } from "./route.ts";

export function workerRoutes({ database }: Services): Route[] {
  return [
    defineRoute({
      method: "GET",
      path: "/workers",
      access: { kind: "role", role: "viewer" },
      summary: "List workers by name",
      tag: "workers",
      schemas: { query: PageQuery, response: pageOf(WorkerSummary) },
      handler: async ({ query: { cursor, limit }, project }) => {
        const page = { after: cursor ?? null, limit: limit + 1 };
        const rows = await listWorkers(database.pool, project, page);
        return nextPage(rows.map(shown), limit, ({ name }) => name);
      },
    }),
    defineRoute({
      method: "GET",
      path: "/workers/:worker",
      access: { kind: "role", role: "viewer" },
      summary: "Show a worker, by id or by name",
      tag: "workers",
      schemas: { params: z.object({ worker: z.union([idOf("worker"), Name]) }), response: WorkerSummary },
      errors: ["not_found"],
      handler: async ({ params, project }) => {
        const row = await findWorker(database.pool, project, params.worker);
        if (row === null) throw new BerthError("not_found", `There is no worker ${params.worker}.`);
        return shown(row);
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
    backends: Object.keys(capabilities.backends),
    slots: capabilities.slots,
    held: row.held,
    registeredAt: row.registeredAt.toISOString(),
    lastSeenAt: row.lastSeenAt?.toISOString() ?? null,
  };
}
