import { z } from "zod";
import { idOf } from "../../protocol/ids.ts";
import { maskMessages } from "../../protocol/mask-events.ts";
import { MessagesRequest, MessagesResponse } from "../../protocol/messages.ts";
import { recordMessages } from "../scheduling/record-messages.ts";
import type { SecretValues } from "../scheduling/secret-values.ts";
import type { Services } from "../services.ts";
import { workerOf } from "./callers.ts";
import { defineRoute, IN_EVENTS, type Route } from "./route.ts";

export function agentMessagesRoute({ database, wakeups }: Services, secrets: SecretValues): Route {
  return defineRoute({
    method: "POST",
    path: "/agent/runs/:run/messages",
    access: { kind: "agent", boot: "current" },
    audit: IN_EVENTS,
    summary: "What running steps say: progress and metrics",
    tag: "agent",
    schemas: { params: z.object({ run: idOf("run") }), body: MessagesRequest, response: MessagesResponse },
    errors: ["not_found", "stale_epoch"],
    handler: async ({ params: { run }, body: { epoch, ...said }, principal, project }) => {
      const { worker } = workerOf(principal);
      const masked = maskMessages(said, await secrets.maskFor(project, run));
      const accepted = await recordMessages(database, { project, worker, run, epoch }, masked);
      wakeups.notify(`run:${run}`);
      return { accepted };
    },
  });
}
