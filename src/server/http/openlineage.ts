import { exportOpenLineage } from "../lineage/export-openlineage.ts";
import type { Services } from "../services.ts";
import { defineRoute, type Route } from "./route.ts";
import { RunParams, runIdOf } from "./run-reference.ts";
import { streamAnswer } from "./stream-answer.ts";

export function openLineageRoute(services: Services): Route {
  return defineRoute({
    method: "GET",
    path: "/runs/:run/openlineage",
    access: { kind: "role", role: "viewer" },
    summary: "A run as events of OpenLineage, one a line",
    tag: "runs",
    schemas: { params: RunParams },
    streams: "application/x-ndjson",
    handler: async ({ params, project, reply }) => {
      const run = await runIdOf(services.database.pool, project, params.run);
      return streamAnswer(reply, "application/x-ndjson", asLines(exportOpenLineage(services, project, run)));
    },
  });
}

async function* asLines(events: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const event of events) yield `${JSON.stringify(event)}\n`;
}
