import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { objectFile } from "../../../test/setup/object-file.ts";
import { errorOf, submit, takeRun } from "../../../test/setup/run-fixture.ts";
import { type TestServer, testServer, testToken, testWorker } from "../../../test/setup/server.ts";
import { UNSIGNED_PAYLOAD } from "../../protocol/signature.ts";
import { openFolderStore } from "../objects/folder-store.ts";
import { OBJECT_TIER_MIN_BYTES, oneStore } from "../objects/object-tiers.ts";
import { allRoutes } from "./routes.ts";

async function blobServer(t: TestContext): Promise<{ server: TestServer; folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), "berth-blobs-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const server = await testServer(t, (services) => allRoutes(services, "test"), {
    objects: oneStore(openFolderStore(folder)),
  });
  return { server, folder };
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const OCTETS = { "content-type": "application/octet-stream" };
const RAW = { contentType: "application/octet-stream", contentDigest: UNSIGNED_PAYLOAD };

test("the holder of a run stores blobs and reads them back, whole and in ranges", async (t) => {
  const { server } = await blobServer(t);
  const worker = await testWorker(server);
  await submit(server);
  const { run, epoch } = (await takeRun(worker)).assignment;
  for (const size of [0, 1000, OBJECT_TIER_MIN_BYTES + 1000]) {
    const bytes = randomBytes(size);
    const digest = sha256(bytes);
    const path = `/agent/runs/${run}/blobs/${digest}?epoch=${epoch}`;
    const missing = { epoch, digests: [digest] };
    const ask = async () => (await worker.call("POST", `/agent/runs/${run}/blobs/missing`, missing)).json().missing;
    assert.deepEqual(await ask(), [digest]);
    assert.equal((await worker.call("GET", path)).statusCode, 404);
    const stored = await worker.call("PUT", path, bytes, RAW);
    assert.deepEqual(stored.json(), { digest, size }, stored.body);
    assert.deepEqual(await ask(), []);
    const whole = await worker.call("GET", path);
    assert.deepEqual([whole.statusCode, whole.headers["content-length"]], [200, String(size)]);
    assert.ok(whole.rawPayload.equals(bytes));
    if (size === 0) continue;
    const part = await worker.call("GET", path, undefined, { headers: { range: "bytes=10-19" } });
    assert.deepEqual([part.statusCode, part.headers["content-range"]], [206, `bytes 10-19/${size}`]);
    assert.ok(part.rawPayload.equals(bytes.subarray(10, 20)));
    const behind = await worker.call("GET", path, undefined, { headers: { range: `bytes=${size}-` } });
    assert.equal(errorOf(behind).code, "range_not_satisfiable");
  }
});

test("a worker reaches blobs only by a run that it holds, at the epoch that it holds it", async (t) => {
  const { server } = await blobServer(t);
  const worker = await testWorker(server);
  const other = await testWorker(server);
  await submit(server);
  const { run, epoch } = (await takeRun(worker)).assignment;
  const bytes = Buffer.from("bytes");
  const path = (atEpoch: number) => `/agent/runs/${run}/blobs/${sha256(bytes)}?epoch=${atEpoch}`;
  for (const [method, body] of [
    ["PUT", bytes],
    ["GET", undefined],
  ] as const) {
    const options = body === undefined ? {} : RAW;
    assert.equal((await other.call(method, path(epoch), body, options)).statusCode, 404);
    assert.equal(errorOf(await worker.call(method, path(epoch + 1), body, options)).code, "stale_epoch");
  }
  const { rows } = await server.services.database.pool.query("SELECT count(*) FROM blobs");
  assert.deepEqual(rows, [{ count: 0 }]);
});

test("bytes that are not the blob are refused with 422, and a body without a size with 400", async (t) => {
  const { server } = await blobServer(t);
  const bytes = Buffer.from("right");
  const url = `/blobs/${sha256(bytes)}`;
  const wrong = await server.call("developer", { method: "PUT", url, payload: Buffer.from("wrong"), headers: OCTETS });
  assert.deepEqual([wrong.statusCode, errorOf(wrong).code], [422, "digest_mismatch"]);
  const { Readable } = await import("node:stream");
  const payload = Readable.from([bytes]);
  const sizeless = await server.call("developer", { method: "PUT", url, payload, headers: OCTETS });
  assert.equal(sizeless.statusCode, 400);
  const right = await server.call("developer", { method: "PUT", url, payload: bytes, headers: OCTETS });
  assert.equal(right.statusCode, 200);
});

test("an upload that breaks off in the middle leaves nothing, and the server goes on", async (t) => {
  const { server, folder } = await blobServer(t);
  await server.app.listen({ port: 0, host: "127.0.0.1" });
  const { port } = server.app.server.address() as AddressInfo;
  const token = await testToken(server.services, "developer", server.project);
  const size = OBJECT_TIER_MIN_BYTES * 2;
  const digest = sha256(Buffer.alloc(size));
  const socket = connect(port, "127.0.0.1");
  socket.write(
    `PUT /api/v1/blobs/${digest} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n` +
      `content-type: application/octet-stream\r\ncontent-length: ${size}\r\n\r\n`,
  );
  socket.write(Buffer.alloc(OBJECT_TIER_MIN_BYTES));
  const unfinished = async () => await readdir(join(folder, "unfinished"));
  const deadline = performance.now() + 20_000;
  while ((await unfinished()).length === 0) {
    assert.ok(performance.now() < deadline, "the upload never began");
    await sleep(10);
  }
  socket.destroy();
  while ((await unfinished()).length > 0) {
    assert.ok(performance.now() < deadline, "what was uploaded stayed");
    await sleep(10);
  }
  assert.deepEqual((await server.services.blobs.missing(server.project, [digest])).length, 1);
  assert.equal((await server.call(null, { url: "/health/ready" })).statusCode, 200);
});

test("a large upload without credentials is refused before its bytes are read", async (t) => {
  const { server, folder } = await blobServer(t);
  await server.app.listen({ port: 0, host: "127.0.0.1" });
  const { port } = server.app.server.address() as AddressInfo;
  const upload = request({ port, host: "127.0.0.1", method: "PUT", path: `/api/v1/blobs/${"0".repeat(64)}` });
  upload.on("error", () => {});
  upload.setHeader("content-type", "application/octet-stream");
  upload.setHeader("content-length", 2 ** 40);
  upload.write(Buffer.alloc(1024));
  const [answer] = await once(upload, "response");
  upload.destroy();
  assert.equal(answer.statusCode, 401);
  assert.deepEqual(await readdir(join(folder, "unfinished")), []);
});

test("a developer reads a blob of the own project by its digest, whole and in ranges; damaged ones are not served", async (t) => {
  const { server, folder } = await blobServer(t);
  const bytes = randomBytes(OBJECT_TIER_MIN_BYTES + 1000);
  const digest = sha256(bytes);
  const read = (headers: Record<string, string> = {}) => server.call("developer", { url: `/blobs/${digest}`, headers });
  assert.equal((await read()).statusCode, 404);
  await server.services.blobs.put(server.project, digest, bytes.length, bytes);
  const whole = await read();
  assert.ok(whole.statusCode === 200 && whole.rawPayload.equals(bytes));
  const part = await read({ range: "bytes=10-19" });
  assert.ok(part.statusCode === 206 && part.rawPayload.equals(bytes.subarray(10, 20)));
  assert.equal((await server.call("viewer", { url: `/blobs/${digest}` })).statusCode, 403);

  const stored = await objectFile(server.services, folder, digest);
  const damaged = Buffer.from(bytes);
  damaged[5]! ^= 1;
  await writeFile(stored, damaged);
  // Its last piece is held back until the whole is known to be right, so nobody takes it for complete.
  await assert.rejects(read(), /destroyed|aborted/);
});
