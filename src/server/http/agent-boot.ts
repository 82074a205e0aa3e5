import { BootRequest, BootResponse } from "../../protocol/agent-api.ts";
import { BerthError } from "../../protocol/errors.ts";
import { bootWorker } from "../scheduling/boot.ts";
import type { Services } from "../services.ts";
import { workerOf } from "./callers.ts";
import { defineRoute, type Route } from "./route.ts";

export function agentBootRoute(services: Services): Route {
  return defineRoute({
    method: "POST",
    path: "/agent/boot",
    access: { kind: "agent", boot: "new" },
    audit: { none: "a worker that is registered starts anew" },
    summary: "A process of the agent begins, and fences every earlier one",
    tag: "agent",
    schemas: { body: BootRequest, response: BootResponse },
    errors: ["not_found"],
    handler: async ({ body, principal }) => {
      const { worker, boot } = workerOf(principal);
      if (body.bootId !== boot) {
        throw new BerthError("invalid_request", "The boot id of the body is not the one that signed the request.");
      }
      return bootWorker(services, worker, body);
    },
  });
}
