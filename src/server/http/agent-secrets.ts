import { z } from "zod";
import { idOf } from "../../protocol/ids.ts";
import { StepSecretsRequest, StepSecretsResponse } from "../../protocol/secrets.ts";
import { giveSecrets } from "../scheduling/give-secrets.ts";
import type { Services } from "../services.ts";
import { workerOf } from "./callers.ts";
import { defineRoute, type Route } from "./route.ts";

export function agentSecretsRoute(services: Services): Route {
  return defineRoute({
    method: "POST",
    path: "/agent/runs/:run/secrets",
    access: { kind: "agent", boot: "current" },
    audit: "secret.access",
    summary:
      "The secrets of the step of an attempt, or of the build that it waits for, sealed to the key that it sends",
    tag: "agent",
    schemas: { params: z.object({ run: idOf("run") }), body: StepSecretsRequest, response: StepSecretsResponse },
    errors: ["not_found", "stale_epoch", "conflict", "secret_unavailable"],
    handler: async ({
      params: { run },
      body: { epoch, stepRun, attempt, build = false, recipient },
      principal,
      project,
    }) => {
      const { worker } = workerOf(principal);
      const wanted = { stepRun, attempt, build, recipient: Buffer.from(recipient, "base64") };
      const sealed = await giveSecrets(services, { project, worker, run, epoch }, wanted);
      return { sealed: sealed.toString("base64") };
    },
  });
}
