import { HeartbeatRequest, HeartbeatResponse } from "../../protocol/agent-api.ts";
import { takeHeartbeat } from "../scheduling/heartbeat.ts";
import type { Services } from "../services.ts";
import { workerOf } from "./callers.ts";
import { defineRoute, IN_EVENTS, type Route } from "./route.ts";

export function agentHeartbeatRoute({ database }: Services): Route {
  return defineRoute({
    method: "POST",
    path: "/agent/heartbeat",
    access: { kind: "agent", boot: "current" },
    audit: IN_EVENTS,
    summary: "A sign of life: renews the leases that it names",
    tag: "agent",
    schemas: { body: HeartbeatRequest, response: HeartbeatResponse },
    handler: async ({ body, principal }) => takeHeartbeat(database, workerOf(principal), body),
  });
}
