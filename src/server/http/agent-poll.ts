import { PollRequest, PollResponse } from "../../protocol/agent-api.ts";
import { Permits } from "../../std/permits.ts";
import { answerPoll, isEmptyAnswer } from "../scheduling/claim.ts";
import { releaseUnheard } from "../scheduling/release-unheard.ts";
import type { Services } from "../services.ts";
import { findOffer } from "../store/boots.ts";
import { workerOf } from "./callers.ts";
import { defineRoute, type Route } from "./route.ts";
import { watch } from "./watch.ts";

/**
 * Of many pollers that are woken for one run, those that look while it is being claimed would each lock and roll back for
 * nothing: further ones wait, and find that it is gone. More at once than this do not claim faster.
 */
const CLAIMS_AT_ONCE = 4;

/** The net under wake-ups that were lost: the longest that a queued run waits for an idle worker. */
const LOOK_INTERVAL_MS = 1_000;

export function agentPollRoute(services: Services): Route {
  const looking = { ...services, claims: new Permits(CLAIMS_AT_ONCE) };
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
        answer = await answerPoll(looking, poller, await findOffer(services.database.pool, poller), body);
        if (!isEmptyAnswer(answer)) break;
      }
      return answer;
    },
  });
}
