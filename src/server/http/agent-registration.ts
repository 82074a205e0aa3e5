import { RegisterRequest, RegisterResponse } from "../../protocol/agent-api.ts";
import { hashToken } from "../secret-token.ts";
import type { Services } from "../services.ts";
import { registerWorker } from "../workers/register-worker.ts";
import { defineRoute, type Route } from "./route.ts";

export function agentRegistrationRoute({ database, installation, log }: Services): Route {
  return defineRoute({
    method: "POST",
    path: "/agent/register",
    access: { kind: "registration" },
    audit: "worker.register",
    summary: "Register a worker by its public key",
    tag: "agent",
    schemas: { body: RegisterRequest, response: RegisterResponse },
    errors: ["conflict"],
    handler: async ({ body, principal }) => {
      if (principal.kind !== "registration") throw new Error(`registration was reached by ${principal.kind}`);
      const worker = await registerWorker(database, hashToken(principal.token), body);
      log.info({ worker: worker.id, name: body.name, pool: worker.pool }, "worker registered");
      return {
        workerId: worker.id,
        installation,
        project: worker.project,
        pool: worker.pool,
        labels: [...worker.labels],
      };
    },
  });
}
