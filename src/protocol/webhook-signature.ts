import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/**
 * Signed webhooks, as https://www.standardwebhooks.com has them: three headers, of which the signature covers the other
 * two and the body.
 *
 *     webhook-id          names the message; the same when it is sent again
 *     webhook-timestamp   when this try was signed, seconds since 1970
 *     webhook-signature   `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`; several with blanks between
 *
 * The key is what `whsec_` and base64 stand for.
 */

/** How far the clocks of sender and server may be apart: beyond it a message that was listened in on is of no use. */
export const WEBHOOK_TOLERANCE_SECONDS = 5 * 60;
/** Events are small; whatever is larger belongs into a store, with its address in the event. */
export const WEBHOOK_BODY_MAX_BYTES = 256 * 1024;
const SECRET_PREFIX = "whsec_";
const SECRET_BYTES = 32;
/** While a sender changes its secret it signs with two. */
const SIGNATURES_MAX = 5;

export interface WebhookMessage {
  readonly id: string;
  readonly timestamp: number;
}

export interface SignedMessage extends WebhookMessage {
  readonly signatures: readonly Buffer[];
}

export function newWebhookSecret(): string {
  return SECRET_PREFIX + randomBytes(SECRET_BYTES).toString("base64");
}

/** The value of webhook-signature. */
export function signWebhook(secret: string, message: WebhookMessage, body: Buffer): string {
  return `v1,${hmac(secret, message, body).toString("base64")}`;
}

/** Null where a header is missing or has another form. An id holds no full stop: what is signed could be cut in two ways. */
export function readSignedMessage(headers: Readonly<Record<string, unknown>>): SignedMessage | null {
  const { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature } = headers;
  if (typeof id !== "string" || !/^[!-\-/-~]{1,200}$/.test(id)) return null;
  if (typeof timestamp !== "string" || !/^\d{1,12}$/.test(timestamp)) return null;
  if (typeof signature !== "string") return null;
  const signatures = signature
    .split(" ")
    .filter((part) => /^v1,[A-Za-z0-9+/]{43}=$/.test(part))
    .slice(0, SIGNATURES_MAX)
    .map((part) => Buffer.from(part.slice("v1,".length), "base64"));
  return signatures.length === 0 ? null : { id, timestamp: Number(timestamp), signatures };
}

/** Compares in a time that tells nothing of how much is right. */
export function isSignedWith(secret: string, message: SignedMessage, body: Buffer): boolean {
  const expected = hmac(secret, message, body);
  return message.signatures.some((signature) => timingSafeEqual(signature, expected));
}

function hmac(secret: string, { id, timestamp }: WebhookMessage, body: Buffer): Buffer {
  const key = Buffer.from(secret.slice(SECRET_PREFIX.length), "base64");
  return createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest();
}
