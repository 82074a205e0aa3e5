import type { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { z } from "zod";
import { LOG_BYTES_PER_REQUEST, LOGS_CONTENT_TYPE, LogsResponse } from "../../protocol/agent-api.ts";
import { idOf } from "../../protocol/ids.ts";
import { appendLogs, unpackLogs } from "../scheduling/append-logs.ts";
import type { Services } from "../services.ts";
import { workerOf } from "./callers.ts";
import { defineRoute, IN_EVENTS, type Route } from "./route.ts";

/** zstd makes random bytes a little longer, never much; headers come on top. */
const PACKED_MAX_BYTES = LOG_BYTES_PER_REQUEST + 1024 * 1024;

export function agentLogsRoute({ database, wakeups }: Services): Route {
  return defineRoute({
    method: "POST",
    path: "/agent/runs/:run/logs",
    access: { kind: "agent", boot: "current" },
    audit: IN_EVENTS,
    summary: "Further bytes of a run's logs",
    tag: "agent",
    schemas: { params: z.object({ run: idOf("run") }), response: LogsResponse },
    rawBody: { contentType: LOGS_CONTENT_TYPE, maxBytes: PACKED_MAX_BYTES },
    errors: ["not_found", "stale_epoch", "sequence_gap", "invalid_body"],
    handler: async ({ params: { run }, principal, project, request }) => {
      const { worker } = workerOf(principal);
      const { epoch, chunks } = await unpackLogs(await buffer(request.body as Readable));
      const accepted = await appendLogs(database, { project, worker, run, epoch }, chunks);
      if (accepted > 0) wakeups.notify(`run:${run}`);
      return { accepted };
    },
  });
}
