import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { errorOf, submit, takeRun } from "../../../test/setup/run-fixture.ts";
import { type TestServer, type TestWorker, testServer, testToken, testWorker } from "../../../test/setup/server.ts";
import { UNSIGNED_PAYLOAD } from "../../protocol/signature.ts";
import { openFolderStore } from "../objects/folder-store.ts";
import { OBJECT_TIER_MIN_BYTES, oneStore } from "../objects/object-tiers.ts";
import { allRoutes } from "./routes.ts";

const SIZE = OBJECT_TIER_MIN_BYTES + 12_345;
const RAW = { contentType: "application/octet-stream", contentDigest: UNSIGNED_PAYLOAD };

interface World {
  readonly server: TestServer;
  readonly folder: string;
  /** Of another server on the same database and folder. */
  replica(): Promise<TestServer>;
  unfinished(): Promise<string[]>;
  rows(table: "uploads" | "blobs"): Promise<number>;
}

async function world(t: TestContext): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), "berth-uploads-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const open = async (url?: string) =>
    await testServer(t, (services) => allRoutes(services, "test"), {
      objects: oneStore(openFolderStore(folder)),
      ...(url === undefined ? {} : { url }),
    });
  const server = await open();
  const { database } = server.services;
  return {
    server,
    folder,
    replica: async () => await open(database.url),
    unfinished: async () => await readdir(join(folder, "unfinished")),
    rows: async (table) => (await database.pool.query(`SELECT FROM ${table}`)).rowCount ?? 0,
  };
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** A worker that holds a run, and uploads to it. */
async function sender(server: TestServer) {
  const worker = await testWorker(server);
  await submit(server);
  const { run, epoch } = (await takeRun(worker)).assignment;
  return uploadsOf(worker, run, epoch);
}

function uploadsOf(worker: TestWorker, run: string, epoch: number) {
  const base = `/agent/runs/${run}/uploads`;
  return {
    worker,
    run,
    epoch,
    begin: (bytes: Uint8Array) =>
      worker.call("POST", base, { epoch, digest: sha256(bytes), size: bytes.length, via: "any" }),
    state: (upload: string) => worker.call("GET", `${base}/${upload}?epoch=${epoch}`),
    append: (upload: string, offset: number, bytes: Buffer) =>
      worker.call("PUT", `${base}/${upload}?epoch=${epoch}&offset=${offset}`, bytes, RAW),
    finish: (upload: string) => worker.call("POST", `${base}/${upload}/finish`, { epoch }),
    read: async (bytes: Uint8Array) =>
      (await worker.call("GET", `/agent/runs/${run}/blobs/${sha256(bytes)}?epoch=${epoch}`)).rawPayload,
  };
}

test("a blob that is appended in pieces is there once it was finished, and not before", async (t) => {
  const { server, rows, unfinished } = await world(t);
  const agent = await sender(server);
  const bytes = randomBytes(SIZE);
  const begun = (await agent.begin(bytes)).json();
  assert.deepEqual([begun.way, begun.offset], ["server", 0]);
  assert.deepEqual((await agent.append(begun.upload, 0, bytes.subarray(0, 1000))).json(), { offset: 1000 });
  const early = await agent.finish(begun.upload);
  assert.deepEqual([errorOf(early).code, errorOf(early).details], ["sequence_gap", { expected: 1000 }]);
  assert.deepEqual((await agent.begin(bytes)).json(), { ...begun, offset: 1000 }, "to begin again is to go on");
  assert.deepEqual((await agent.state(begun.upload)).json(), { ...begun, offset: 1000 });
  const wrong = await agent.append(begun.upload, 0, bytes.subarray(0, 1000));
  assert.deepEqual([wrong.statusCode, errorOf(wrong).details], [409, { expected: 1000 }]);
  assert.equal(await rows("blobs"), 0);
  assert.deepEqual((await agent.append(begun.upload, 1000, bytes.subarray(1000))).json(), { offset: SIZE });
  assert.deepEqual((await agent.finish(begun.upload)).json(), { digest: sha256(bytes), size: SIZE });
  assert.ok((await agent.read(bytes)).equals(bytes));
  assert.deepEqual((await agent.begin(bytes)).json(), { way: "stored" });
  assert.deepEqual([await rows("uploads"), await unfinished()], [0, []]);
});

test("a blob that is a row of the database is sent in one request", async (t) => {
  const { server } = await world(t);
  const agent = await sender(server);
  assert.deepEqual((await agent.begin(randomBytes(1000))).json(), { way: "single" });
});

test("another server goes on where the first ended, and checks all of it", async (t) => {
  const { server, replica } = await world(t);
  const agent = await sender(server);
  const bytes = randomBytes(SIZE);
  const { upload } = (await agent.begin(bytes)).json();
  await agent.append(upload, 0, bytes.subarray(0, 5_000_000));
  const second = await replica();
  const there = uploadsOf({ ...agent.worker, call: callOn(second, server, agent.worker) }, agent.run, agent.epoch);
  await there.append(upload, 5_000_000, bytes.subarray(5_000_000));
  assert.equal((await there.finish(upload)).statusCode, 200);
  assert.ok((await agent.read(bytes)).equals(bytes));
});

test("bytes that are not the blob's are removed at the end, whoever saw which of them", async (t) => {
  const { server, replica, rows, folder } = await world(t);
  const agent = await sender(server);
  const bytes = randomBytes(SIZE);
  const other = Buffer.from(bytes);
  other[7]! ^= 1;
  for (const isSeenBySeveral of [false, true]) {
    const { upload } = (await agent.begin(bytes)).json();
    await agent.append(upload, 0, other.subarray(0, 5_000_000));
    const second = await replica();
    const worker = isSeenBySeveral ? { ...agent.worker, call: callOn(second, server, agent.worker) } : agent.worker;
    const there = uploadsOf(worker, agent.run, agent.epoch);
    await there.append(upload, 5_000_000, other.subarray(5_000_000));
    const refused = await there.finish(upload);
    assert.deepEqual([refused.statusCode, errorOf(refused).code], [422, "digest_mismatch"]);
    assert.deepEqual([await rows("uploads"), await rows("blobs")], [0, 0]);
  }
  assert.deepEqual(await filesOf(folder), []);
});

test("what arrived before the line was cut is kept", async (t) => {
  const { server, folder } = await world(t);
  const { port } = await listening(server);
  const token = await testToken(server.services, "developer", server.project);
  const bytes = randomBytes(SIZE);
  const call = async (method: "GET" | "POST", url: string, payload?: object) =>
    (
      await server.call(null, {
        ...{ method, url, headers: { authorization: `Bearer ${token}` } },
        ...(payload === undefined ? {} : { payload }),
      })
    ).json();
  const { upload } = await call("POST", "/uploads", { digest: sha256(bytes), size: SIZE });
  const socket = connect(port, "127.0.0.1");
  socket.write(
    `PUT /api/v1/uploads/${upload}?offset=0 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n` +
      `content-type: application/octet-stream\r\ncontent-length: ${SIZE}\r\n\r\n`,
  );
  socket.write(bytes.subarray(0, 6_000_000));
  const deadline = performance.now() + 20_000;
  const offset = async () => (await call("GET", `/uploads/${upload}`)).offset as number;
  while ((await offset()) < 4_000_000) {
    assert.ok(performance.now() < deadline, "nothing of it was kept");
    await sleep(10);
  }
  socket.destroy();
  const kept = await offset();
  const rest = await server.call(null, {
    ...{ method: "PUT", url: `/uploads/${upload}?offset=${kept}`, payload: bytes.subarray(kept) },
    headers: { authorization: `Bearer ${token}`, "content-type": "application/octet-stream" },
  });
  if (rest.statusCode === 409) {
    // The server had more of it by then.
    const { expected } = errorOf(rest).details as { expected: number };
    assert.ok(expected > kept);
    return;
  }
  assert.equal(rest.statusCode, 200, rest.body);
  assert.equal((await call("POST", `/uploads/${upload}/finish`)).size, SIZE);
  assert.equal((await filesOf(folder)).length, 1);
});

test("two workers that send the same blob do not disturb each other, and it is stored once", async (t) => {
  const { server, folder, rows } = await world(t);
  const [one, two] = [await sender(server), await sender(server)];
  const bytes = randomBytes(SIZE);
  const begun = await Promise.all([one, two].map(async (agent) => (await agent.begin(bytes)).json()));
  assert.notEqual(begun[0].upload, begun[1].upload);
  await Promise.all([one, two].map(async (agent, index) => await agent.append(begun[index].upload, 0, bytes)));
  const ends = await Promise.all([one, two].map(async (agent, index) => await agent.finish(begun[index].upload)));
  assert.deepEqual(
    ends.map(({ statusCode }) => statusCode),
    [200, 200],
  );
  assert.deepEqual([await rows("uploads"), await rows("blobs"), (await filesOf(folder)).length], [0, 1, 1]);
  assert.equal((await two.state(begun[0].upload)).statusCode, 404, "what another worker sends is nobody else's");
});

test("a lease that is lost in the middle of an append ends it with 409", async (t) => {
  const { server } = await world(t);
  const agent = await sender(server);
  const bytes = randomBytes(SIZE);
  const { upload } = (await agent.begin(bytes)).json();
  const { database, uploads } = server.services;
  const { PassThrough } = await import("node:stream");
  const stream = new PassThrough();
  const stillAllowed = async () => {
    const { requireLease } = await import("../store/leases.ts");
    const { project } = server;
    await requireLease(database.pool, { project, worker: agent.worker.id, run: agent.run, epoch: agent.epoch });
  };
  const owner = { project: server.project, owner: agent.worker.id, kind: "worker" } as const;
  const append = { offset: 0, length: SIZE, bytes: stream, stillAllowed };
  const ended = assert.rejects(uploads.append(owner, upload, append), { code: "stale_epoch" });
  stream.write(bytes.subarray(0, 1_000_000));
  await database.pool.query("UPDATE runs SET epoch = epoch + 1 WHERE id = $1", [agent.run]);
  await ended;
  assert.equal(errorOf(await agent.append(upload, 0, bytes)).code, "stale_epoch");
});

test("an upload that nobody goes on with is collected, with its bytes", async (t) => {
  const { server, rows, unfinished } = await world(t);
  const agent = await sender(server);
  const bytes = randomBytes(SIZE);
  const { upload } = (await agent.begin(bytes)).json();
  await agent.append(upload, 0, bytes.subarray(0, 1_000_000));
  assert.equal(await server.services.uploads.collectUnfinished(3_600_000), 0, "it may still go on");
  await server.services.database.pool.query("UPDATE uploads SET moved_at = now() - interval '2 hours'");
  assert.equal(await server.services.uploads.collectUnfinished(3_600_000), 1);
  assert.deepEqual([await rows("uploads"), await unfinished()], [0, []]);
  assert.equal((await agent.append(upload, 1_000_000, bytes)).statusCode, 404);
});

test("an upload whose answer was lost, or whose server died before it could say so, is found to be whole", async (t) => {
  const { server, rows, folder } = await world(t);
  const agent = await sender(server);
  const bytes = randomBytes(SIZE);
  const { upload } = (await agent.begin(bytes)).json();
  await agent.append(upload, 0, bytes);
  const { rows: found } = await server.services.database.pool.query("SELECT object_key, reference FROM uploads");
  await openFolderStore(folder).resumable.finish(found[0].object_key, found[0].reference);
  assert.deepEqual((await agent.begin(bytes)).json(), { way: "server", upload, offset: SIZE });
  assert.equal((await agent.finish(upload)).statusCode, 200);
  assert.equal(
    (await agent.finish(upload)).statusCode,
    404,
    "who asks again begins again, and hears that it is stored",
  );
  assert.deepEqual((await agent.begin(bytes)).json(), { way: "stored" });
  assert.equal(await rows("blobs"), 1);
});

async function listening(server: TestServer): Promise<AddressInfo> {
  await server.app.listen({ port: 0, host: "127.0.0.1" });
  return server.app.server.address() as AddressInfo;
}

async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

/** The same worker, on another server. */
function callOn(there: TestServer, here: TestServer, worker: TestWorker): TestWorker["call"] {
  const inject = here.app.inject.bind(here.app);
  return async (...args) => {
    here.app.inject = there.app.inject.bind(there.app);
    try {
      return await worker.call(...args);
    } finally {
      here.app.inject = inject;
    }
  };
}
