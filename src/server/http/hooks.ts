import { z } from "zod";
import { idOf } from "../../protocol/ids.ts";
import { HookAnswer } from "../../protocol/triggers.ts";
import { WEBHOOK_BODY_MAX_BYTES } from "../../protocol/webhook-signature.ts";
import { deliverWebhook } from "../scheduling/deliver-webhook.ts";
import type { Services } from "../services.ts";
import { defineRoute, type Route } from "./route.ts";

/** The one route that starts runs without an API token: by a message that is signed with the secret of its trigger. */
export function hookRoute(services: Services): Route {
  return defineRoute({
    method: "POST",
    path: "/hooks/:trigger",
    access: { kind: "webhook" },
    audit: "trigger.call",
    summary: "Call a trigger with a message that is signed as in Standard Webhooks",
    tag: "triggers",
    schemas: { params: z.object({ trigger: idOf("trigger") }), body: z.unknown(), response: HookAnswer },
    maxBodyBytes: WEBHOOK_BODY_MAX_BYTES,
    errors: ["invalid_params", "missing_blobs", "conflict", "group_busy", "too_many_requests"],
    handler: async ({ body, principal, project, request }) => {
      if (principal.kind !== "webhook" || request.checkedBody === null) {
        throw new Error("a webhook reached its handler without its signature having been checked");
      }
      const { trigger, message } = principal;
      const { id, timestamp } = message;
      const delivery = { project, trigger, digest: request.checkedBody, body, webhook: { id, timestamp } };
      return deliverWebhook(services, delivery);
    },
  });
}
