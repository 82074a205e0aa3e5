import assert from "node:assert/strict";
import { test } from "node:test";
import { CHAIN, errorOf, runServer, showRun } from "../../../test/setup/run-fixture.ts";
import { callHook, createTrigger, now, REF_CHAIN, showTrigger } from "../../../test/setup/trigger-fixture.ts";
import { newId } from "../../protocol/ids.ts";
import {
  newWebhookSecret,
  WEBHOOK_BODY_MAX_BYTES,
  WEBHOOK_TOLERANCE_SECONDS,
} from "../../protocol/webhook-signature.ts";
import { DELIVERIES_PER_MINUTE_MAX } from "../scheduling/deliver-webhook.ts";

test("a signed message starts a run with the parameters that it brings, and the run says so", async (t) => {
  const server = await runServer(t);
  const trigger = await createTrigger(server, "push");
  const answer = await callHook(server, trigger, { id: "msg_1", body: { ref: "v2" } });
  assert.equal(answer.statusCode, 200, answer.body);
  const { outcome, repeated, run } = answer.json();
  assert.deepEqual([outcome, repeated, run.pipeline, run.number], ["started", false, "chain", 1]);
  const made = await showRun(server, run.id);
  assert.deepEqual(made.params, { ref: "v2" });
  assert.deepEqual(made.startedBy, { kind: "trigger", name: "push", delivery: "msg_1" });
  assert.equal(made.createdBy, "trigger push");
  const { deliveries, lastDelivery } = await showTrigger(server, "push");
  assert.deepEqual(
    deliveries.map(({ id, outcome: became, run: of }) => [id, became, of?.id]),
    [["msg_1", "started", run.id]],
  );
  assert.deepEqual(lastDelivery, deliveries[0]);
});

test("a message that is sent again, also many times at once and to two servers, is answered with its one run", async (t) => {
  const secretKey = Buffer.alloc(32, 7);
  const server = await runServer(t, { secretKey });
  const other = await runServer(t, { url: server.services.database.url, secretKey });
  const trigger = await createTrigger(server, "push");
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, index) => callHook(index % 2 === 0 ? server : other, trigger, { id: "msg_1" })),
  );
  assert.deepEqual([...new Set(answers.map(({ statusCode }) => statusCode))], [200]);
  assert.equal(new Set(answers.map((answer) => answer.json().run.id)).size, 1);
  assert.equal(answers.filter((answer) => !answer.json().repeated).length, 1);
  // Another try of a sender has another time, and so another signature.
  const later = await callHook(server, trigger, { id: "msg_1", timestamp: now() + 1 });
  assert.deepEqual([later.json().repeated, later.json().run.id], [true, answers[0]!.json().run.id]);
  const changed = await callHook(server, trigger, { id: "msg_1", body: { ref: "other" } });
  assert.equal(changed.statusCode, 409);
  assert.equal((await server.call("viewer", { url: "/runs" })).json().items.length, 1);
});

test("what is not signed with the trigger's secret, over this very body and now, starts nothing", async (t) => {
  const server = await runServer(t);
  const trigger = await createTrigger(server, "push");
  const other = await createTrigger(server, "other");
  const far = WEBHOOK_TOLERANCE_SECONDS + 30;
  const refused: Parameters<typeof callHook>[2][] = [
    { secret: newWebhookSecret() },
    { secret: other.secret },
    { sent: '{"ref":"mbin"}' },
    { sent: '{"ref": "main"}' },
    { sent: "not JSON" },
    { timestamp: now() - far },
    { timestamp: now() + far },
    { headers: { "webhook-signature": "v1," } },
    { headers: { "webhook-id": "another" } },
    { headers: { "webhook-timestamp": "" } },
  ];
  for (const call of refused) {
    const answer = await callHook(server, trigger, call);
    assert.equal(answer.statusCode, 401, `${JSON.stringify(call)}: ${answer.body}`);
  }
  const unknown = await callHook(server, { id: newId("trigger"), secret: trigger.secret });
  const wrong = await callHook(server, trigger, { secret: other.secret });
  assert.equal(errorOf(unknown).message, errorOf(wrong).message, "nobody learns which triggers there are");
  const foreign = await callHook(server, { id: trigger.id, secret: other.secret });
  assert.equal(foreign.statusCode, 401);
  for (const timestamp of [now() - WEBHOOK_TOLERANCE_SECONDS + 30, now() + WEBHOOK_TOLERANCE_SECONDS - 30]) {
    assert.equal((await callHook(server, trigger, { timestamp })).statusCode, 200);
  }
  assert.equal((await server.call("viewer", { url: "/runs" })).json().items.length, 2);
  assert.deepEqual((await showTrigger(server, "other")).deliveries, []);
});

test("a body that is too large, of another type or no JSON is refused", async (t) => {
  const server = await runServer(t);
  const trigger = await createTrigger(server, "push");
  const large = await callHook(server, trigger, { body: { ref: "x".repeat(WEBHOOK_BODY_MAX_BYTES) } });
  assert.equal(large.statusCode, 413);
  const chunked = await callHook(server, trigger, {
    ...{ body: { ref: "x".repeat(WEBHOOK_BODY_MAX_BYTES) }, headers: { "content-length": "10" } },
  });
  assert.ok(chunked.statusCode >= 400 && chunked.statusCode < 500, String(chunked.statusCode));
  const typed = await callHook(server, trigger, { headers: { "content-type": "text/plain" } });
  assert.equal(typed.statusCode, 415);
  const nothing = await callHook(server, trigger, { body: null });
  assert.equal(nothing.statusCode, 422, "what is signed is understood, and lacks a ref");
  const fits = await callHook(server, trigger, { body: { ref: "a", more: "x".repeat(WEBHOOK_BODY_MAX_BYTES - 100) } });
  assert.equal(fits.statusCode, 200, fits.body);
});

test("a message that makes no run is told why, is seen by the owner, and is looked at anew when it is sent again", async (t) => {
  const server = await runServer(t);
  const trigger = await createTrigger(server, "push");
  const refused = await callHook(server, trigger, { id: "msg_1", body: { rev: 1 } });
  assert.equal(refused.statusCode, 422);
  assert.deepEqual(errorOf(refused).problems, [{ path: "params.ref", message: '"body.ref": no such key: ref' }]);
  const typed = await callHook(server, trigger, { id: "msg_2", body: { ref: 7 } });
  assert.equal(errorOf(typed).problems?.[0]?.path, "params.ref");
  const seen = (await showTrigger(server, "push")).deliveries.map(({ id, outcome, message }) => [id, outcome, message]);
  assert.deepEqual(
    seen.map(([id, outcome]) => [id, outcome]),
    [
      ["msg_2", "refused"],
      ["msg_1", "refused"],
    ],
  );
  assert.match(String(seen[1]![2]), /params\.ref: "body\.ref": no such key: ref\./);
  const payload = { pipeline: REF_CHAIN, params: { ref: "string(body.rev)" } };
  const changed = await server.call("developer", { method: "PUT", url: "/triggers/push", payload });
  assert.equal(changed.statusCode, 200, changed.body);
  const again = await callHook(server, trigger, { id: "msg_1", body: { rev: 1 } });
  assert.deepEqual([again.statusCode, again.json().outcome], [200, "started"]);
});

test("a change of what a trigger runs keeps the mapping and the condition where they are not given, and can take each away", async (t) => {
  const server = await runServer(t);
  await createTrigger(server, "push", { when: 'body.ref == "main"' });
  const change = async (more: object) => {
    const payload = { pipeline: REF_CHAIN, ...more };
    return server.call("developer", { method: "PUT", url: "/triggers/push", payload });
  };
  const inForce = async (more: object) => {
    const answer = await change(more);
    assert.equal(answer.statusCode, 200, answer.body);
    const { params, when } = answer.json();
    return { params, when };
  };
  const before = { params: { ref: "body.ref" }, when: 'body.ref == "main"' };
  assert.deepEqual(await inForce({}), before);
  assert.deepEqual(await inForce({ params: { ref: "body.rev" } }), { ...before, params: { ref: "body.rev" } });
  assert.deepEqual(await inForce({ when: null }), { params: { ref: "body.rev" }, when: null });
  const other = await change({ pipeline: CHAIN });
  assert.equal(other.statusCode, 422, "what stays has to fit the new file");
  assert.match(errorOf(other).advice ?? "", /--unmap PARAM/);
  assert.deepEqual(await inForce({ pipeline: CHAIN, params: {} }), { params: {}, when: null });
});

test("a message that the condition does not want is ignored, once and for all", async (t) => {
  const server = await runServer(t);
  const trigger = await createTrigger(server, "push", { when: 'body.ref == "main"' });
  const ignored = await callHook(server, trigger, { id: "msg_1", body: { ref: "side" } });
  assert.deepEqual(ignored.json(), { outcome: "ignored", repeated: false, run: null });
  const again = await callHook(server, trigger, { id: "msg_1", body: { ref: "side" } });
  assert.deepEqual(again.json(), { outcome: "ignored", repeated: true, run: null });
  assert.equal((await callHook(server, trigger)).json().outcome, "started");
});

test("more messages than a trigger takes in a minute are to be sent again later", async (t) => {
  const server = await runServer(t);
  const trigger = await createTrigger(server, "push", { when: "false" });
  const codes = [];
  for (let index = 0; index <= DELIVERIES_PER_MINUTE_MAX; index++) {
    codes.push((await callHook(server, trigger, { id: `msg_${index}` })).statusCode);
  }
  assert.deepEqual([codes.filter((code) => code === 200).length, codes.at(-1)], [DELIVERIES_PER_MINUTE_MAX, 429]);
  const repeated = await callHook(server, trigger, { id: "msg_0" });
  assert.equal(repeated.statusCode, 200, "what has come before costs nothing");
  await server.services.database.pool.query(
    "UPDATE trigger_deliveries SET received_at = received_at - interval '61 seconds'",
  );
  assert.equal((await callHook(server, trigger, { id: "msg_x" })).statusCode, 200);
});

test("a paused trigger refuses, and answers what it has answered before", async (t) => {
  const server = await runServer(t);
  const trigger = await createTrigger(server, "push");
  const first = await callHook(server, trigger, { id: "msg_1" });
  const pause = { method: "POST", url: "/triggers/push/pause", payload: { reason: "holidays" } } as const;
  const paused = (await server.call("developer", pause)).json();
  assert.deepEqual([paused.state, paused.paused.reason], ["paused", "holidays"]);
  assert.equal((await callHook(server, trigger, { id: "msg_2" })).statusCode, 409);
  const again = await callHook(server, trigger, { id: "msg_1" });
  assert.equal(again.json().run.id, first.json().run.id);
  await server.call("developer", { method: "POST", url: "/triggers/push/resume" });
  assert.equal((await callHook(server, trigger, { id: "msg_2" })).statusCode, 200);
});

test("a new secret takes the place of the old one, at once or after a while", async (t) => {
  const server = await runServer(t);
  const trigger = await createTrigger(server, "push");
  const rotate = async (payload: object) =>
    (await server.call("developer", { method: "POST", url: "/triggers/push/rotate", payload })).json();
  const second = await rotate({});
  assert.ok(Date.parse(second.oldSecretUntil) > Date.now() + 23 * 3_600_000);
  for (const { secret } of [trigger, second]) {
    assert.equal((await callHook(server, trigger, { secret })).statusCode, 200);
  }
  await server.services.database.pool.query("UPDATE triggers SET old_secret_until = now() - interval '1 second'");
  assert.equal((await callHook(server, trigger)).statusCode, 401);
  const third = await rotate({ keepOldSeconds: 0 });
  assert.equal((await callHook(server, trigger, { secret: second.secret })).statusCode, 401);
  assert.equal((await callHook(server, trigger, { secret: third.secret })).statusCode, 200);
});

test("a secret is shown once, is in no row as it is, and is good for no other trigger", async (t) => {
  const server = await runServer(t);
  const [one, two] = [await createTrigger(server, "one"), await createTrigger(server, "two")];
  const shown = await server.call("admin", { url: "/triggers/one" });
  assert.ok(!shown.body.includes(one.secret));
  const { pool } = server.services.database;
  const { rows } = await pool.query("SELECT encode(secret, 'escape') AS escaped, secret FROM triggers");
  for (const { escaped, secret } of rows) {
    for (const text of [one.secret, two.secret].map((full) => full.slice(6))) {
      assert.ok(!escaped.includes(text) && !secret.includes(Buffer.from(text, "base64")));
    }
  }
  await pool.query("UPDATE triggers SET secret = (SELECT secret FROM triggers WHERE name = 'one') WHERE name = 'two'");
  const moved = await callHook(server, two, { secret: one.secret });
  assert.equal(moved.statusCode, 500, "whoever can write rows cannot make a secret of his own good");
  assert.deepEqual((await server.call("viewer", { url: "/runs" })).json().items, []);
});

test("what cannot work is refused when a trigger is made, with its place; a name is taken once", async (t) => {
  const server = await runServer(t);
  const create = async (more: object) =>
    server.call("developer", {
      ...{ method: "POST", url: "/triggers" },
      payload: { name: "push", pipeline: REF_CHAIN, params: { ref: "body.ref" }, ...more },
    });
  const wrong = await create({ params: { rfe: "body.ref" } });
  assert.equal(wrong.statusCode, 422);
  assert.deepEqual(
    errorOf(wrong).problems?.map(({ path }) => path),
    ["params.rfe", "params.ref"],
  );
  assert.equal((await create({ pipeline: "steps: []" })).statusCode, 422);
  assert.equal((await create({ source: { digest: "a".repeat(64), size: 1 } })).statusCode, 409);
  assert.equal((await create({ parms: {} })).statusCode, 400);
  assert.deepEqual((await server.call("viewer", { url: "/pipelines" })).json().items, [], "nothing was made");
  assert.equal((await create({})).statusCode, 201);
  const taken = await create({ pipeline: CHAIN, params: {} });
  assert.equal(taken.statusCode, 409);
  assert.match(errorOf(taken).message, /There is a trigger push already/);
  const listed = (await server.call("viewer", { url: "/triggers?state=active" })).json();
  assert.deepEqual(
    listed.items.map(({ name }: { name: string }) => name),
    ["push"],
  );
  const removed = await server.call("developer", { method: "DELETE", url: "/triggers/push" });
  assert.equal(removed.statusCode, 204);
  assert.equal((await server.call("viewer", { url: "/triggers/push" })).statusCode, 404);
});
