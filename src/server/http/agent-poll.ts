import { PollRequest, PollResponse } from "../../protocol/agent-api.ts";
import { answerPoll, isEmptyAnswer } from "../scheduling/claim.ts";
import { releaseUnheard } from "../scheduling/release-unheard.ts";
import type { Services } from "../services.ts";
import { findOffer } from "../store/boots.ts";
import { workerOf } from "./callers.ts";
import { defineRoute, type Route } from "./route.ts";
import { watch } from "./watch.ts";

/** The net under wake-ups that were lost: the longest that a queued run waits for an idle worker. */
const LOOK_INTERVAL_MS = 1_000;

export function agentPollRoute(services: Services): Route {
  return defineRoute({
    method: "POST",
    path: "/agent/poll",
    access: { kind: "agent", boot: "current" },
    summary: "Waits for runs to take, and for cancels",
    tag: "agent",
    schemas: { body: PollRequest, response: PollResponse },
    errors: ["not_found"],
    handler: async ({ body, principal, signal }) => {
      const poller = workerOf(principal);
      await releaseUnheard(services, poller, body.held);
      const wait = AbortSignal.any([signal, AbortSignal.timeout(body.waitMs)]);
      let answer: PollResponse = { assignments: [], cancel: [], lost: [] };
      for await (const _ of watch(services.wakeups, ["queue", `worker:${poller.worker}`], LOOK_INTERVAL_MS, wait)) {
        // Read each time: the worker may be drained meanwhile, and a newer process ends this poll.
        answer = await answerPoll(services, poller, await findOffer(services.database.pool, poller), body);
        if (!isEmptyAnswer(answer)) break;
      }
      return answer;
    },
  });
}
