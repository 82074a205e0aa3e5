import type { FastifyRequest } from "fastify";
import { BerthError } from "../../protocol/errors.ts";
import { idOf } from "../../protocol/ids.ts";
import { isSignedWith, readSignedMessage, WEBHOOK_TOLERANCE_SECONDS } from "../../protocol/webhook-signature.ts";
import type { Services } from "../services.ts";
import { findHookSecrets, secretPlace } from "../store/triggers.ts";
import type { Caller } from "./authenticate.ts";

const TriggerId = idOf("trigger");

/**
 * A message that is signed with the secret of its trigger. The signature covers the body itself, so that it is complete
 * only when the body is there: request-body.ts has it checked before anything of the body is understood. An unknown
 * trigger is answered like a wrong signature.
 */
export async function authenticateWebhook(request: FastifyRequest, services: Services): Promise<Caller> {
  const message = readSignedMessage(request.headers);
  const { trigger } = request.params as { trigger?: unknown };
  if (message === null) throw notSigned("This request is not signed.");
  if (!TriggerId.safeParse(trigger).success) throw notSigned(REFUSED);
  const { now, hook } = await findHookSecrets(services.database.pool, trigger as string);
  request.serverTime = Math.floor(now);
  if (Math.abs(now - message.timestamp) > WEBHOOK_TOLERANCE_SECONDS) {
    throw new BerthError("signature_expired", "The signature is too old, or of the future.", {
      advice: "Sign each try with its own time; berth-server-time of this answer is the server's.",
    });
  }
  if (hook === null) throw notSigned(REFUSED);
  const place = secretPlace(trigger as string);
  const current = (await services.sealer.open(place, hook.secret)).toString();
  const keys = [current, ...(await oldKeys(services, place, hook.oldSecret))];
  return {
    principal: { kind: "webhook", trigger: trigger as string, message },
    project: hook.project,
    checkBody: (body) => (keys.some((key) => isSignedWith(key, message, body)) ? null : notSigned(REFUSED)),
  };
}

/** An old secret that cannot be read, such as after the loss of its key, is none: the new one was made in its place. */
async function oldKeys({ sealer, log }: Services, place: string, sealed: Buffer | null): Promise<string[]> {
  if (sealed === null) return [];
  try {
    return [(await sealer.open(place, sealed)).toString()];
  } catch (error) {
    log.warn({ err: error, place }, "the old secret of a trigger cannot be read; only its new one counts");
    return [];
  }
}

const REFUSED = "There is no such trigger, or the signature was not made with its secret over this very body.";

function notSigned(message: string): BerthError {
  return new BerthError("unauthenticated", message, {
    advice: "Send webhook-id, webhook-timestamp and webhook-signature, as in Standard Webhooks.",
  });
}
