import { setTimeout as sleep } from "node:timers/promises";
import { PollRequest, PollResponse } from "../../protocol/agent-api.ts";
import { Permits } from "../../std/permits.ts";
import { answerPoll, isEmptyAnswer, type Look, type Poller } from "../scheduling/claim.ts";
import { YIELD_MS } from "../scheduling/placement.ts";
import { releaseUnheard } from "../scheduling/release-unheard.ts";
import type { Services } from "../services.ts";
import { findOffer } from "../store/boots.ts";
import { noteAnswered, noteAsking } from "../store/placement.ts";
import { workerOf } from "./callers.ts";
import { defineRoute, IN_EVENTS, type Route } from "./route.ts";
import { watch } from "./watch.ts";

/**
 * Of many pollers that are woken for one run, those that look while it is being claimed would each lock and roll back for
 * nothing: further ones wait, and find that it is gone. More at once than this do not claim faster.
 */
const CLAIMS_AT_ONCE = 4;

/** The net under wake-ups that were lost: the longest that a queued run waits for an idle worker. */
const LOOK_INTERVAL_MS = 1_000;

type Looking = Services & { readonly claims: Permits };

export function agentPollRoute(services: Services): Route {
  const looking: Looking = { ...services, claims: new Permits(CLAIMS_AT_ONCE) };
  return defineRoute({
    method: "POST",
    path: "/agent/poll",
    access: { kind: "agent", boot: "current" },
    audit: IN_EVENTS,
    summary: "Waits for runs to take, and for cancels",
    tag: "agent",
    schemas: { body: PollRequest, response: PollResponse },
    errors: ["not_found"],
    handler: async ({ body, principal, signal }) => {
      const poller = workerOf(principal);
      await releaseUnheard(services, poller, body.held);
      const wait = AbortSignal.any([signal, AbortSignal.timeout(body.waitMs)]);
      return body.freeSlots > 0 && body.waitMs > YIELD_MS
        ? await pollWithOthers(looking, poller, body, wait)
        : await poll(looking, poller, body, wait, false);
    },
  });
}

/** The same with other workers taken into account, and told to them. */
async function pollWithOthers(
  services: Looking,
  poller: Poller,
  body: PollRequest,
  wait: AbortSignal,
): Promise<PollResponse> {
  const { pool } = services.database;
  const { worker } = poller;
  const mark = await noteAsking(pool, { worker, held: body.held.length, free: body.freeSlots }, body.waitMs);
  let given = 0;
  try {
    const answer = await poll(services, poller, body, wait, true);
    given = answer.assignments.length;
    return answer;
  } finally {
    // A note that is not taken back is good for seconds, and nothing is given to a worker by it.
    await noteAnswered(pool, worker, mark, { given, againWithinMs: YIELD_MS }).catch((err: unknown) =>
      services.log.debug({ err, worker }, "what a worker asks for could not be noted"),
    );
  }
}

async function poll(
  services: Looking,
  poller: Poller,
  body: PollRequest,
  wait: AbortSignal,
  yields: boolean,
): Promise<PollResponse> {
  // Read each time: the worker may be drained meanwhile, and a newer process ends this poll.
  const look = async (leaves: boolean): Promise<Look> =>
    answerPoll(services, poller, await findOffer(services.database.pool, poller), body, leaves);
  let answer: PollResponse = { assignments: [], cancel: [], lost: [] };
  for await (const _ of watch(services.wakeups, ["queue", `worker:${poller.worker}`], LOOK_INTERVAL_MS, wait)) {
    const first = await look(yields);
    answer = first.answer;
    if (first.left && isEmptyAnswer(answer)) {
      await sleep(YIELD_MS, null, { signal: wait }).catch(() => null);
      if (!wait.aborted) answer = (await look(false)).answer;
    }
    if (!isEmptyAnswer(answer)) break;
  }
  return answer;
}
