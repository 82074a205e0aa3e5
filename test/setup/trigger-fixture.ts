import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { LightMyRequestResponse } from "fastify";
import type { PutTriggerRequest, TriggerDetail, TriggerWithSecret } from "../../src/protocol/triggers.ts";
import { signWebhook, type WebhookMessage } from "../../src/protocol/webhook-signature.ts";
import { CHAIN } from "./run-fixture.ts";
import type { TestServer } from "./server.ts";

/** What tests of triggers have in common. */

export const REF_CHAIN = `${CHAIN}params: { ref: { type: string } }\n`;

export async function createTrigger(
  server: TestServer,
  name: string,
  request: Partial<PutTriggerRequest> = {},
): Promise<TriggerWithSecret> {
  const payload = { name, pipeline: REF_CHAIN, params: { ref: "body.ref" }, ...request };
  const answer = await server.call("developer", { method: "POST", url: "/triggers", payload });
  assert.equal(answer.statusCode, 201, answer.body);
  return answer.json();
}

export async function showTrigger(server: TestServer, name: string): Promise<TriggerDetail> {
  const answer = await server.call("viewer", { url: `/triggers/${name}` });
  assert.equal(answer.statusCode, 200, answer.body);
  return answer.json();
}

export interface Call extends Partial<WebhookMessage> {
  readonly body?: unknown;
  /** The bytes that are sent, where they are not those that were signed. */
  readonly sent?: Buffer | string;
  readonly secret?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A signed message, with whatever is to be wrong with it. */
export async function callHook(
  server: TestServer,
  trigger: Pick<TriggerWithSecret, "id" | "secret">,
  { id = `msg_${randomBytes(6).toString("hex")}`, timestamp = now(), body = { ref: "main" }, ...call }: Call = {},
): Promise<LightMyRequestResponse> {
  const bytes = Buffer.from(JSON.stringify(body));
  return server.call(null, {
    method: "POST",
    url: `/hooks/${trigger.id}`,
    payload: call.sent ?? bytes,
    headers: {
      "content-type": "application/json",
      "webhook-id": id,
      "webhook-timestamp": String(timestamp),
      "webhook-signature": signWebhook(call.secret ?? trigger.secret, { id, timestamp }, bytes),
      ...call.headers,
    },
  });
}

/** The headers of a message that is signed now. */
export function webhookHeaders(secret: string, body: Buffer): Record<string, string> {
  const message = { id: `msg_${randomBytes(6).toString("hex")}`, timestamp: now() };
  return {
    "webhook-id": message.id,
    "webhook-timestamp": String(message.timestamp),
    "webhook-signature": signWebhook(secret, message, body),
  };
}

export function now(): number {
  return Math.floor(Date.now() / 1000);
}
