import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { type TestContext, test } from "node:test";
import { type TestServer, testServer, testToken } from "../../../test/setup/server.ts";
import { type AuditEvent, AuditFacts } from "../../protocol/audit.ts";
import { type BrokenLink, ChainWalk, hashOfEvent, type Link, readCheckpoint } from "../../protocol/audit-chain.ts";
import { auditHead, INSTALLATION, listAudit, recordAudit } from "../store/audit.ts";
import { allRoutes } from "./routes.ts";

async function eventsOf({ services, project }: TestServer, chain: string = project): Promise<AuditEvent[]> {
  const page = { chain, order: "oldest", after: null, limit: 10_000 } as const;
  return await listAudit(services.database.pool, page);
}

async function brokenOf(server: TestServer, kept: readonly Link[] = []): Promise<BrokenLink | null> {
  const walk = new ChainWalk([await auditHead(server.services.database.pool, server.project), ...kept]);
  for (const event of await eventsOf(server)) if (!walk.take(event)) break;
  return walk.end();
}

async function pinNumber({ services: { database }, project }: TestServer, n: number): Promise<void> {
  await database.transaction((client) =>
    recordAudit(client, { project, action: "artifact.pin", subject: `version ${n}`, details: { n } }),
  );
}

/** As somebody does who owns the database. */
async function tamper({ services: { database } }: TestServer, sql: string, values?: unknown[]): Promise<void> {
  await database.transaction(async (client) => {
    await client.query("SET LOCAL session_replication_role = replica");
    await client.query(sql, values);
  });
}

async function audited(t: TestContext, events: number): Promise<TestServer> {
  const server = await testServer(t, (services) => allRoutes(services, "test"));
  for (let n = 1; n <= events; n++) await pinNumber(server, n);
  return server;
}

test("a change is written down with who, what and from where, and never with a secret's value", async (t) => {
  const server = await testServer(t, (services) => allRoutes(services, "test"));
  const value = Buffer.from("canary-7f3a").toString("base64");
  const set = await server.call("operator", { method: "POST", url: "/secrets", payload: { name: "TOKEN", value } });
  assert.equal(set.statusCode, 200, set.body);
  const made = await server.call("admin", { method: "POST", url: "/tokens", payload: { name: "ci", role: "viewer" } });
  const [event, token] = await eventsOf(server);
  const facts = AuditFacts.parse(event!.event);
  assert.deepEqual([facts.actor.kind, facts.actor.name], ["token", "test-operator"]);
  assert.deepEqual([facts.action, facts.subject, facts.details], ["secret.set", "TOKEN", { version: 1 }]);
  assert.deepEqual([facts.request, facts.address], [set.headers["berth-request-id"], "127.0.0.1"]);
  assert.equal(AuditFacts.parse(token!.event).subject, made.json().id);
  const { rows } = await server.services.database.pool.query(
    "SELECT string_agg(e::text, '') AS all FROM audit_events e",
  );
  for (const secret of ["canary-7f3a", value, made.json().token]) assert.ok(!rows[0].all.includes(secret), secret);
});

test("a change that is rolled back is not written down", async (t) => {
  const server = await audited(t, 1);
  const { database } = server.services;
  const failing = database.transaction(async (client) => {
    await recordAudit(client, { project: server.project, action: "artifact.pin", subject: "never" });
    throw new Error("no");
  });
  await assert.rejects(failing, /no/);
  await pinNumber(server, 2);
  assert.deepEqual(
    (await eventsOf(server)).map(({ sequence }) => sequence),
    [1, 2],
  );
  assert.equal(await brokenOf(server), null);
});

test("many who write at the same time make one chain without a gap, and projects have chains of their own", async (t) => {
  const server = await audited(t, 0);
  await Promise.all(Array.from({ length: 60 }, (_, n) => pinNumber(server, n)));
  await recordAudit(server.services.database.pool, { project: null, action: "token.create", subject: "everywhere" });
  const events = await eventsOf(server);
  assert.equal(events.length, 60);
  assert.equal(await brokenOf(server), null);
  assert.deepEqual(
    (await eventsOf(server, INSTALLATION)).map(({ sequence }) => sequence),
    [1],
  );
});

test("a transaction that has written something down keeps nobody else from doing so before it ends", async (t) => {
  const server = await audited(t, 1);
  await server.services.database.transaction(async (client) => {
    await recordAudit(client, { project: server.project, action: "artifact.pin", subject: "slow" });
    await pinNumber(server, 2);
  });
  const subjects = (await eventsOf(server)).map(({ event }) => event.subject);
  assert.deepEqual(subjects, ["version 1", "version 2", "slow"]);
});

test("the database refuses to change, remove or empty what was written down", async (t) => {
  const server = await audited(t, 1);
  const { pool } = server.services.database;
  const refused = { code: "42501", message: /the audit log is only added to/ };
  for (const sql of [
    "UPDATE audit_events SET sequence = 7",
    "DELETE FROM audit_events",
    "TRUNCATE audit_events",
    "DELETE FROM audit_chains",
  ]) {
    await assert.rejects(pool.query(sql), refused, sql);
  }
  assert.equal((await eventsOf(server)).length, 1);
});

for (const [what, sql, broken] of [
  ["changed", `UPDATE audit_events SET event = replace(event::text, '"n":3', '"n":4')::json WHERE sequence = 3`, 3],
  ["moved in time", "UPDATE audit_events SET at = at - interval '1 hour' WHERE sequence = 2", 2],
  ["removed", "DELETE FROM audit_events WHERE sequence = 4", 4],
  ["removed at the end", "DELETE FROM audit_events WHERE sequence >= 5", 5],
  ["removed as a whole", "DELETE FROM audit_events", 1],
  [
    "put in between, with the numbers after it moved up",
    `UPDATE audit_events SET sequence = -sequence WHERE sequence >= 3;
     UPDATE audit_events SET sequence = 1 - sequence WHERE sequence < 0;
     INSERT INTO audit_events (chain, sequence, at, previous, hash, event)
     SELECT chain, 3, at, hash, hash, event FROM audit_events WHERE sequence = 2`,
    3,
  ],
] as const) {
  test(`an event that was ${what} is named as the first that does not hold`, async (t) => {
    const server = await audited(t, 6);
    assert.equal(await brokenOf(server), null);
    await tamper(server, sql);
    assert.equal((await brokenOf(server))?.sequence, broken);
  });
}

test("an event that was changed with its hash does not fit the one after it", async (t) => {
  const server = await audited(t, 4);
  const second = (await eventsOf(server))[1]!;
  const forged = { ...second, event: { ...second.event, subject: "another" } };
  await tamper(server, "UPDATE audit_events SET event = $2, hash = decode($1, 'hex') WHERE sequence = 2", [
    hashOfEvent(forged),
    JSON.stringify(forged.event),
  ]);
  assert.equal((await brokenOf(server))?.sequence, 3);
});

test("a log that was cut short with its head, or made anew, is found by a checkpoint that was kept elsewhere", async (t) => {
  const server = await audited(t, 5);
  const answer = await server.call("admin", { url: "/audit/checkpoint" });
  assert.equal(answer.statusCode, 200, answer.body);
  const read = readCheckpoint(answer.json(), [server.services.signer!.publicKey]);
  assert.ok(read.ok);
  assert.equal(read.head.sequence, 5);
  assert.equal(await brokenOf(server, [read.head]), null);

  await tamper(server, "DELETE FROM audit_events WHERE sequence > 3");
  await tamper(
    server,
    "UPDATE audit_chains c SET sequence = 3, hash = (SELECT hash FROM audit_events e WHERE e.chain = c.chain AND e.sequence = 3)",
  );
  assert.equal(await brokenOf(server), null, "without the checkpoint it looks whole");
  assert.equal((await brokenOf(server, [read.head]))?.sequence, 4);
  for (const n of [7, 8]) await pinNumber(server, n);
  assert.equal(await brokenOf(server), null);
  const anew = await brokenOf(server, [read.head]);
  assert.deepEqual([anew?.sequence, /made anew/.test(anew?.why ?? "")], [5, true]);

  const other = generateKeyPairSync("ed25519").publicKey.export({ type: "spki", format: "pem" }) as string;
  assert.equal(readCheckpoint(answer.json(), [other]).ok, false);
  const forged = { ...answer.json(), payload: Buffer.from('{"chain":"x"}').toString("base64") };
  assert.equal(readCheckpoint(forged, [server.services.signer!.publicKey]).ok, false);
});

test("events are listed newest first, page by page, by who, what, to what and when", async (t) => {
  const server = await audited(t, 5);
  await server.call("operator", { method: "POST", url: "/secrets", payload: { name: "TOKEN", value: "dmFsdWU=" } });
  const list = async (query: string): Promise<{ items: AuditEvent[]; next: string | null }> => {
    const answer = await server.call("admin", { url: `/audit?${query}` });
    assert.equal(answer.statusCode, 200, answer.body);
    return answer.json();
  };
  const numbers = async (query: string) => (await list(query)).items.map(({ sequence }) => sequence);
  const first = await list("limit=4");
  assert.deepEqual(
    first.items.map(({ sequence }) => sequence),
    [6, 5, 4, 3],
  );
  assert.deepEqual(await numbers(`limit=4&cursor=${first.next}`), [2, 1]);
  assert.deepEqual(await numbers("order=oldest&limit=2"), [1, 2]);
  assert.deepEqual(await numbers("actor=test-operator"), [6]);
  assert.deepEqual(await numbers("action=secret"), [6]);
  assert.deepEqual(await numbers("action=secret.set"), [6]);
  assert.deepEqual(await numbers("action=secret.rotate"), []);
  assert.deepEqual(await numbers(`subject=${encodeURIComponent("version 2")}`), [2]);
  const third = (await eventsOf(server))[2]!;
  assert.ok((await numbers(`since=${third.at}`)).includes(3));
  assert.ok(!(await numbers(`until=${third.at}`)).includes(3));
  assert.equal((await server.call("operator", { url: "/audit" })).statusCode, 403);
  assert.equal((await server.call("admin", { url: "/audit?scope=installation" })).statusCode, 403);
  const token = await testToken(server.services, "admin", null);
  const authorization = `Bearer ${token}`;
  const whole = await server.call(null, { url: "/audit?scope=installation", headers: { authorization } });
  assert.equal(whole.statusCode, 200, whole.body);
});

test("requests that are denied are written down once in a while, with how many were not", async (t) => {
  const server = await testServer(t, (services) => allRoutes(services, "test"));
  for (let n = 0; n < 20; n++) assert.equal((await server.call("viewer", { url: "/audit" })).statusCode, 403);
  for (let n = 0; n < 20; n++) assert.equal((await server.call(null, { url: "/runs" })).statusCode, 401);
  const [denied, ...more] = await eventsOf(server);
  const facts = AuditFacts.parse(denied!.event);
  assert.deepEqual(
    [facts.action, facts.subject, facts.actor.name],
    ["access.denied", "GET /api/v1/audit", "test-viewer"],
  );
  assert.deepEqual(more, []);
  const refused = await eventsOf(server, INSTALLATION);
  assert.deepEqual(
    refused.map(({ event }) => [event.action, event.subject]),
    [["access.refused", "GET /api/v1/runs"]],
  );
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() + 11 * 60_000 });
  await server.call("viewer", { url: "/audit" });
  assert.deepEqual(AuditFacts.parse((await eventsOf(server))[1]!.event).details, { notWrittenDown: 19 });
});
