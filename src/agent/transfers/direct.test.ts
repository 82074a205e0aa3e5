import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { sharedS3Server } from "../../../test/setup/s3-server.ts";
import { type TransferProxy, transferProxy } from "../../../test/setup/transfer-proxy.ts";
import { oneStore } from "../../server/objects/object-tiers.ts";
import { parseS3Location } from "../../server/objects/s3-location.ts";
import { openS3Store } from "../../server/objects/s3-store.ts";
import { type TransferWorld, transferWorld } from "../testing/transfer-fixture.ts";
import { until } from "../testing/until.ts";

const MiB = 1024 * 1024;

/** A real S3 server, which agents reach through a proxy of its own. */
async function bucketWorld(
  t: TestContext,
  more: { readonly directExpiresMs?: number; readonly directEndpoint?: string } = {},
): Promise<TransferWorld & { readonly store: TransferProxy; readonly back: TransferProxy }> {
  const s3 = await sharedS3Server();
  Object.assign(process.env, s3.env);
  const store = await transferProxy(t, () => s3.endpoint);
  // What the server itself says to the store.
  const back = await transferProxy(t, () => s3.endpoint);
  const bucket = await s3.makeBucket();
  const direct = encodeURIComponent(more.directEndpoint ?? store.url);
  const location = parseS3Location(`s3://${bucket}/?endpoint=${back.url}&direct-endpoint=${direct}`, "BERTH_OBJECTS");
  const objects = openS3Store(location, { setting: "BERTH_OBJECTS" });
  t.after(() => objects[Symbol.dispose]());
  return { ...(await transferWorld(t, oneStore(objects), more)), store, back };
}

const isPart = ({ method, url }: IncomingMessage) => method === "PUT" && /partNumber=/.test(url!);
const isRead = ({ method }: IncomingMessage) => method === "GET";

async function isStored({ server }: TransferWorld, digest: string): Promise<boolean> {
  return (await server.services.blobs.missing(server.project, [digest])).length === 0;
}

test("a blob goes to the store and back without passing the server, in one request or by parts", async (t) => {
  const world = await bucketWorld(t);
  const agent = await world.agent();
  for (const [size, requests] of [
    [12 * MiB, 1],
    [40 * MiB + 5, 3],
  ] as const) {
    const blob = world.file(size);
    world.store.requests.length = 0;
    await agent.send(blob);
    assert.equal(world.store.requests.filter((request) => request.startsWith("PUT")).length, requests);
    assert.ok(readFileSync(await agent.fetch(blob)).equals(blob.bytes));
    assert.equal(world.store.requests.filter((request) => request.startsWith("GET")).length, requests);
  }
  assert.ok(world.proxy.sentBytes < MiB && world.proxy.receivedBytes < MiB, "bytes passed the server");
  assert.deepEqual(world.warnings, []);
});

test("parts that fail, break off, or change on the way are sent again; the others are not", async (t) => {
  const world = await bucketWorld(t);
  const agent = await world.agent();
  const blob = world.file(52 * MiB);
  const faults = [
    { answer: 500, body: "<Error><Code>InternalError</Code></Error>" },
    { cutRequestAfter: 3 * MiB },
    { changeRequestAt: 5 * MiB },
    "refuse",
  ] as const;
  let next = 0;
  world.store.fault = (request) => (isPart(request) ? faults[next++] : undefined);
  await agent.send(blob);
  assert.ok(await isStored(world, blob.digest));
  assert.equal(world.store.requests.filter((request) => request.startsWith("PUT")).length, 4 + faults.length);
  assert.ok(readFileSync(await agent.fetch(blob)).equals(blob.bytes));
  assert.deepEqual(world.warnings, []);
});

test("what a process that was killed had sent is not sent again by the next one", async (t) => {
  const world = await bucketWorld(t);
  const agent = await world.agent();
  const blob = world.file(52 * MiB);
  const dies = new AbortController();
  let sent = 0;
  world.store.fault = (request) => (isPart(request) && ++sent >= 3 ? "hang" : undefined);
  const dying = assert.rejects(agent.send(blob, dies.signal), /it died/);
  await until("two parts are there", () => world.store.answers >= 2);
  dies.abort(new Error("it died"));
  await dying;
  assert.equal(await isStored(world, blob.digest), false);
  world.store.fault = () => undefined;
  world.store.requests.length = 0;
  await agent.again().send(blob);
  const again = world.store.requests.filter((request) => request.startsWith("PUT")).length;
  assert.ok(again < 4, `${again} parts of 4 were sent again`);
  assert.ok(readFileSync(await agent.fetch(blob)).equals(blob.bytes));
});

test("a completion whose answer is lost on its way from the store counts, directly and through the server", async (t) => {
  const world = await bucketWorld(t);
  const agent = await world.agent();
  for (const way of ["direct", "server"]) {
    if (way === "server") world.store.fault = () => ({ answer: 403 });
    let lost = 0;
    world.back.fault = ({ method, url }) => {
      if (method !== "POST" || !/uploadId=/.test(url!)) return undefined;
      lost += 1;
      // Not every store answers the same completion twice.
      return lost === 1 ? { cutAnswerAfter: 0 } : { answer: 404, body: "<Error><Code>NoSuchUpload</Code></Error>" };
    };
    const blob = world.file(20 * MiB);
    await agent.send(blob);
    assert.ok(lost > 1, "it was not asked for again");
    assert.ok(await isStored(world, blob.digest));
    world.back.fault = () => undefined;
    assert.ok(readFileSync(await agent.fetch(blob)).equals(blob.bytes));
  }
  const { rows } = await world.server.services.database.pool.query("SELECT FROM uploads");
  assert.equal(rows.length, 0);
});

test("an upload that is no more when a part is about to be sent is begun again", async (t) => {
  const world = await bucketWorld(t);
  const agent = await world.agent();
  const { pool } = world.server.services.database;
  let asked = 0;
  world.proxy.fault = ({ url }) => {
    if (/\/parts\?|\/parts$/.test(url!) && asked++ === 0) void pool.query("DELETE FROM uploads");
    return asked === 1 ? { answer: 503 } : undefined;
  };
  const blob = world.file(20 * MiB);
  await agent.send(blob);
  assert.ok(await isStored(world, blob.digest));
  assert.deepEqual(
    world.warnings.filter((line) => line.includes("cannot use")),
    [],
  );
});

test("two workers that send the same blob both succeed, and it is stored once", async (t) => {
  const world = await bucketWorld(t);
  const [one, two] = [await world.agent(), await world.agent()];
  const blob = world.file(40 * MiB);
  await Promise.all([one.send(blob), two.send(blob)]);
  assert.ok(readFileSync(await two.fetch(blob)).equals(blob.bytes));
  const { object } = world.server.services.objects;
  assert.equal((await Array.fromAsync(object.list(""))).length, 1);
});

test("a signed request that expired is replaced by a new one", async (t) => {
  // Seconds are what a signature counts in.
  const world = await bucketWorld(t, { directExpiresMs: 1_000 });
  const agent = await world.agent();
  const blob = world.file(40 * MiB);
  let refusals = 2;
  world.store.fault = (request) =>
    isPart(request) && refusals-- > 0 ? { answer: 403, body: "<Error><Code>AccessDenied</Code></Error>" } : undefined;
  await agent.send(blob);
  refusals = 3;
  world.store.fault = (request) =>
    isRead(request) && refusals-- > 0 ? { answer: 403, body: "<Error><Code>AccessDenied</Code></Error>" } : undefined;
  assert.ok(readFileSync(await agent.fetch(blob)).equals(blob.bytes));
  assert.deepEqual(world.warnings, []);
});

test("a store that cannot be reached from the worker is passed by through the server, with one warning", async (t) => {
  const world = await bucketWorld(t, { directEndpoint: "http://127.0.0.1:9" });
  const agent = await world.agent();
  const blob = world.file(40 * MiB);
  await agent.send(blob);
  await agent.send(world.file(12 * MiB));
  assert.ok(readFileSync(await agent.fetch(blob)).equals(blob.bytes));
  assert.equal(world.warnings.length, 1, world.warnings.join());
  assert.match(world.warnings[0]!, /cannot use the object store directly.*through the server/);
  assert.match(world.warnings[0]!, /127\.0\.0\.1:9/);
  assert.doesNotMatch(world.warnings.join(), /X-Amz|Signature|Credential/i, "a signed request is a secret");
});

test("a store that refuses every signed request, as for a wrong clock, is passed by through the server", async (t) => {
  const world = await bucketWorld(t);
  const agent = await world.agent();
  const blob = world.file(40 * MiB);
  await agent.send(blob);
  const skewed = "<Error><Code>RequestTimeTooSkewed</Code></Error>";
  world.store.fault = () => ({ answer: 403, body: skewed });
  assert.ok(readFileSync(await agent.fetch(blob, "one")).equals(blob.bytes));
  const next = agent.again();
  await next.send(world.file(20 * MiB));
  assert.equal(world.warnings.length, 2);
  for (const warning of world.warnings) assert.match(warning, /403 RequestTimeTooSkewed.*clocks/);
});

test("a download is fetched in parts, and goes on from those that an earlier process had", async (t) => {
  const world = await bucketWorld(t);
  const agent = await world.agent();
  const blob = world.file(52 * MiB);
  await agent.send(blob);
  let reads = 0;
  const dies = new AbortController();
  world.store.fault = (request) => {
    if (!isRead(request) || ++reads < 4) return reads === 1 ? { cutAnswerAfter: 2 * MiB } : undefined;
    return "hang";
  };
  const incoming = join(world.folder, "other", "incoming");
  const notes = () => (existsSync(incoming) ? readdirSync(incoming) : []).filter((name) => name.endsWith(".parts"));
  const dying = assert.rejects(agent.fetch(blob, "other", dies.signal), /it died/);
  await until("a part is there", () => notes().some((name) => readFileSync(join(incoming, name)).length > 0));
  dies.abort(new Error("it died"));
  await dying;
  await until("it left what it had", () => notes().some((name) => name.includes(".0-")));
  world.store.fault = () => undefined;
  world.store.receivedBytes = 0;
  assert.ok(readFileSync(await agent.again().fetch(blob, "other")).equals(blob.bytes));
  assert.ok(world.store.receivedBytes < blob.size - 14 * MiB, `${world.store.receivedBytes} bytes were received again`);
});

test("bytes that are not the blob's are never named: a damaged file, a store that answers with others or too few", async (t) => {
  const world = await bucketWorld(t);
  const agent = await world.agent();
  const damaged = world.file(40 * MiB);
  writeFileSync(damaged.path, Buffer.alloc(damaged.size));
  await assert.rejects(agent.send(damaged), { code: "digest_mismatch" });
  assert.equal(await isStored(world, damaged.digest), false);
  const blob = world.file(20 * MiB);
  await agent.send(blob);
  world.store.fault = (request) => (isRead(request) ? { changeAnswerAt: 1000 } : undefined);
  await assert.rejects(agent.fetch(blob, "changed"), { code: "digest_mismatch" });
});

test("signed requests and credentials are in no log, at no level, and in no file, also where everything fails", async (t) => {
  const s3 = await sharedS3Server();
  const world = await bucketWorld(t, { directExpiresMs: 1_000 });
  const agent = await world.agent();
  const signed: string[] = [];
  let requests = 0;
  const faults = [
    { answer: 403, body: "<Error><Code>SignatureDoesNotMatch</Code></Error>" },
    "refuse",
    { answer: 500 },
    { cutRequestAfter: 3 * MiB },
    { cutAnswerAfter: 3 * MiB },
    { changeAnswerAt: 1000 },
  ] as const;
  world.store.fault = ({ url }) => {
    signed.push(url!);
    return requests % 2 === 0 ? faults[(requests++ / 2) % faults.length] : void requests++;
  };
  const blob = world.file(40 * MiB);
  await agent.send(blob);
  await agent.fetch(blob).catch(() => {});
  world.store.fault = ({ url }) => {
    signed.push(url!);
    return "refuse";
  };
  const next = agent.again();
  await next.fetch(blob, "two");
  await next.send(world.file(20 * MiB));
  await agent.client
    .finishUpload(agent.lease.run, agent.lease.epoch, "upl_00000000000000000000000000", [], signal())
    .catch(() => {});
  const secrets = signed.map((url) => new URL(url, "http://store").searchParams.get("X-Amz-Signature"));
  assert.ok(secrets.length > 5 && secrets.every((secret) => /^[0-9a-f]{64}$/.test(secret ?? "")));
  const written = [...world.logged, ...textsBelow(world.folder)];
  assert.ok(world.logged.length > 10, "nothing was logged");
  for (const secret of [...secrets, "X-Amz-", "x-amz-", s3.env.AWS_SECRET_ACCESS_KEY!, s3.env.AWS_ACCESS_KEY_ID!]) {
    const found = written.find((text) => text.includes(secret!));
    assert.equal(found, undefined, `${secret}: ${found?.slice(0, 300)}`);
  }
});

const signal = () => AbortSignal.timeout(10_000);

/** All small files, such as notes of what is unfinished. */
function textsBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .filter((path) => statSync(path).size < MiB)
    .map((path) => readFileSync(path, "latin1"));
}
