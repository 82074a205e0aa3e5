import { type MappedPayload, mapPayload, type Payload } from "../../pipeline/payload-mapping.ts";
import { BerthError } from "../../protocol/errors.ts";
import type { Delivery, HookAnswer, Trigger } from "../../protocol/triggers.ts";
import type { Services } from "../services.ts";
import { recordAudit } from "../store/audit.ts";
import type { Queryable } from "../store/database.ts";
import { deliveriesPerMinute, findDelivery, type NewDelivery, putDelivery } from "../store/deliveries.ts";
import { findRun } from "../store/runs.ts";
import { lockTrigger } from "../store/triggers.ts";
import { createRunWithin } from "./create-run.ts";
import { announce, type Entered } from "./enter-group.ts";

/** Messages of one trigger, repeated ones aside: far more than pipelines are started by, far less than a flood. */
export const DELIVERIES_PER_MINUTE_MAX = 60;

/** A message whose signature was checked. */
export interface SignedDelivery extends Payload {
  readonly project: string;
  readonly trigger: string;
  /** SHA-256 of the body as it was sent. */
  readonly digest: Buffer;
}

/**
 * Makes the run that a message asks for, once: sent again, it is answered with that run. All of it happens under the lock
 * of the trigger, and in one transaction with what is noted of the message. What is refused is noted too, so that the
 * trigger's owner sees it, and looked at anew when it is sent again.
 */
export async function deliverWebhook(
  services: Pick<Services, "database" | "wakeups">,
  delivery: SignedDelivery,
): Promise<HookAnswer> {
  const made: Entered[] = [];
  const answer = await services.database.transaction((client) => deliver(client, delivery, made));
  for (const entered of made) announce(services, entered);
  if (answer instanceof BerthError) throw answer;
  return answer;
}

/** `made` gets the run that is to be announced once all of this is committed. */
async function deliver(client: Queryable, delivery: SignedDelivery, made: Entered[]): Promise<HookAnswer | BerthError> {
  const { project, digest, webhook } = delivery;
  const trigger = await lockTrigger(client, project, delivery.trigger);
  if (trigger === null) return new BerthError("unauthenticated", "The trigger was removed.");
  const known = await findDelivery(client, trigger.id, webhook.id);
  if (known !== null && known.outcome !== "refused") return repeated(client, project, known, digest);
  if ((await deliveriesPerMinute(client, trigger.id)) >= DELIVERIES_PER_MINUTE_MAX) {
    return new BerthError("too_many_requests", `A trigger takes ${DELIVERIES_PER_MINUTE_MAX} messages a minute.`, {
      advice: "Send this one again later.",
    });
  }
  const note = async (
    outcome: Delivery["outcome"],
    more: Partial<Pick<NewDelivery, "message" | "run">> = {},
  ): Promise<void> => {
    await putDelivery(client, {
      ...{ trigger: trigger.id, project, id: webhook.id, digest, outcome, message: null, run: null },
      ...more,
    });
    const details = { id: trigger.id, message: webhook.id, outcome, run: more.run ?? null };
    await recordAudit(client, { project, action: "trigger.call", subject: trigger.name, details });
  };
  try {
    const mapped = mappedOrThrow(trigger, delivery);
    if (!mapped.wanted) {
      await note("ignored");
      return { outcome: "ignored", repeated: false, run: null };
    }
    const entered = await makeRun(client, trigger, delivery, mapped.params);
    made.push(entered);
    const run = entered.id;
    await note("started", { run });
    return { outcome: "started", repeated: false, run: await shownRun(client, project, run) };
  } catch (error) {
    // Thrown before anything was written; any other error takes all of it back.
    if (!(error instanceof BerthError)) throw error;
    await note("refused", { message: error.words });
    return error;
  }
}

async function repeated(
  client: Queryable,
  project: string,
  known: Delivery & { readonly digest: Buffer },
  digest: Buffer,
): Promise<HookAnswer | BerthError> {
  if (!known.digest.equals(digest)) {
    return new BerthError("conflict", `The message ${known.id} came before with another body.`, {
      advice: "Give each message a webhook-id of its own.",
    });
  }
  const run = known.run === null ? null : await shownRun(client, project, known.run.id);
  return { outcome: run === null ? "ignored" : "started", repeated: true, run };
}

function mappedOrThrow(trigger: Trigger, { body, webhook }: Payload): Extract<MappedPayload, { ok: true }> {
  if (trigger.paused !== null) {
    throw new BerthError("conflict", "The trigger is paused.", { advice: "Send this message again later." });
  }
  const mapped = mapPayload(trigger, { body, webhook });
  if (mapped.ok) return mapped;
  throw new BerthError("invalid_params", "The parameters of the run cannot be made from this message.", {
    problems: mapped.problems,
  });
}

function makeRun(
  client: Queryable,
  { name, pipeline, pipelineVersion, source }: Trigger,
  { project, webhook }: SignedDelivery,
  params: Extract<MappedPayload, { ok: true }>["params"],
): Promise<Entered> {
  const startedBy = { kind: "trigger", name, delivery: webhook.id } as const;
  const request = { pipeline: { name: pipeline, version: pipelineVersion }, params, source };
  return createRunWithin(client, { project, by: `trigger ${name}`, startedBy }, request);
}

async function shownRun(client: Queryable, project: string, id: string): Promise<HookAnswer["run"]> {
  const { pipeline, number, state } = (await findRun(client, project, id))!;
  return { id, pipeline, number, state };
}
