import assert from "node:assert/strict";
import { test } from "node:test";
import { isSignedWith, newWebhookSecret, readSignedMessage, signWebhook } from "./webhook-signature.ts";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY = Buffer.from('{"test": 2432232314}');
const HEADERS = {
  "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
  "webhook-timestamp": "1614265330",
  "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
};

test("a signature is the one that Standard Webhooks gives as its example", () => {
  const message = readSignedMessage(HEADERS)!;
  assert.ok(isSignedWith(SECRET, message, BODY));
  assert.equal(signWebhook(SECRET, message, BODY), HEADERS["webhook-signature"]);
});

test("every bit of the body, the id, the time, the signature and the secret counts", () => {
  const secret = newWebhookSecret();
  const body = Buffer.from('{"ref":"main"}');
  const message = { id: "msg_1", timestamp: 1_700_000_000 };
  const signature = signWebhook(secret, message, body);
  const check = (change: { body?: Buffer; id?: string; timestamp?: number; signature?: string; secret?: string }) => {
    const read = readSignedMessage({
      "webhook-id": change.id ?? message.id,
      "webhook-timestamp": String(change.timestamp ?? message.timestamp),
      "webhook-signature": change.signature ?? signature,
    });
    return read !== null && isSignedWith(change.secret ?? secret, read, change.body ?? body);
  };
  assert.ok(check({}));
  for (let bit = 0; bit < body.length * 8; bit++) {
    const flipped = Buffer.from(body);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    assert.ok(!check({ body: flipped }), `bit ${bit} of the body`);
  }
  const mac = Buffer.from(signature.slice(3), "base64");
  for (let bit = 0; bit < mac.length * 8; bit++) {
    const flipped = Buffer.from(mac);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    assert.ok(!check({ signature: `v1,${flipped.toString("base64")}` }), `bit ${bit} of the signature`);
  }
  assert.ok(!check({ id: "msg_2" }));
  assert.ok(!check({ timestamp: message.timestamp + 1 }));
  assert.ok(!check({ secret: newWebhookSecret() }));
  assert.ok(!check({ body: Buffer.concat([body, Buffer.from(" ")]) }));
  assert.ok(check({ signature: `v1,${"A".repeat(43)}= ${signature} v2,abc` }), "one of several is enough");
});

test("headers of another form are no signed message", () => {
  const wrong: Record<string, unknown>[] = [
    { "webhook-id": undefined },
    { "webhook-id": "" },
    // What is signed could be cut in two ways.
    { "webhook-id": "msg.1" },
    { "webhook-id": "a b" },
    { "webhook-id": "x".repeat(201) },
    { "webhook-timestamp": "-1" },
    { "webhook-timestamp": "1e9" },
    { "webhook-timestamp": "1614265330.5" },
    { "webhook-signature": "" },
    { "webhook-signature": "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" },
    { "webhook-signature": "v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" },
    { "webhook-signature": "v1,g0hM9SsE" },
    { "webhook-signature": ["v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="] },
  ];
  for (const change of wrong) assert.equal(readSignedMessage({ ...HEADERS, ...change }), null, JSON.stringify(change));
});
