import assert from "node:assert/strict";
import { hash, randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { errorOf, submit, takeRun } from "../../../test/setup/run-fixture.ts";
import { testServer, testWorker } from "../../../test/setup/server.ts";
import {
  BATCHED_BLOB_MAX_BYTES,
  BLOB_BATCH_CONTENT_TYPE,
  BLOB_BATCH_MAX_BYTES,
  type BlobWithBytes,
  decodeBlobBatch,
  encodeBlobBatch,
} from "../../protocol/blob-batch.ts";
import { openFolderStore } from "../objects/folder-store.ts";
import { OBJECT_TIER_MIN_BYTES, oneStore } from "../objects/object-tiers.ts";
import { allRoutes } from "./routes.ts";

const TYPE = { contentType: BLOB_BATCH_CONTENT_TYPE };
const blob = (bytes: Buffer): BlobWithBytes => ({ digest: hash("sha256", bytes), bytes });
const blobs = (count: number, size: number) => Array.from({ length: count }, () => blob(randomBytes(size)));
const digestsOf = (list: readonly BlobWithBytes[]) => list.map(({ digest }) => digest);

async function holderOf(t: TestContext, objectMinBytes = OBJECT_TIER_MIN_BYTES) {
  const folder = await mkdtemp(join(tmpdir(), "berth-batches-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const server = await testServer(t, (services) => allRoutes(services, "test"), {
    objects: { ...oneStore(openFolderStore(folder)), objectMinBytes },
  });
  const worker = await testWorker(server);
  await submit(server);
  const { run, epoch } = (await takeRun(worker)).assignment;
  const put = (batch: readonly BlobWithBytes[], atEpoch = epoch, by = worker) =>
    by.call("POST", `/agent/runs/${run}/blobs?epoch=${atEpoch}`, encodeBlobBatch(batch), TYPE);
  const read = (digests: readonly string[], atEpoch = epoch, by = worker) =>
    by.call("POST", `/agent/runs/${run}/blobs/read`, { epoch: atEpoch, digests });
  return { server, run, epoch, put, read };
}

test("the holder of a run stores many small blobs at once, and reads them back in the order asked for", async (t) => {
  const { put, read } = await holderOf(t);
  const batch = [...blobs(500, 100), blob(Buffer.alloc(0)), blob(randomBytes(BATCHED_BLOB_MAX_BYTES))];
  for (let time = 1; time <= 2; time++) {
    const stored = await put(batch);
    assert.deepEqual([stored.statusCode, stored.json()], [200, { stored: batch.length }], stored.body);
  }
  const wanted = batch.toReversed();
  const answer = await read(digestsOf(wanted));
  assert.equal(answer.headers["content-type"], BLOB_BATCH_CONTENT_TYPE);
  assert.deepEqual(decodeBlobBatch(answer.rawPayload), wanted);
});

test("one wrong blob in a batch, and nothing of it is stored", async (t) => {
  const { put, read } = await holderOf(t);
  const good = blobs(3, 10);
  const wrong = { digest: hash("sha256", "right"), bytes: Buffer.from("wrong") };
  const refused = await put([...good, wrong]);
  assert.deepEqual([refused.statusCode, errorOf(refused).code], [422, "digest_mismatch"]);
  assert.match(errorOf(refused).message, new RegExp(wrong.digest));
  assert.deepEqual(decodeBlobBatch((await read(digestsOf(good))).rawPayload), []);
});

test("an answer holds no more than a batch may; the rest is asked for again", async (t) => {
  const { put, read } = await holderOf(t);
  const large = blobs(20, BATCHED_BLOB_MAX_BYTES);
  for (const half of [large.slice(0, 10), large.slice(10)]) assert.equal((await put(half)).statusCode, 200);
  const first = decodeBlobBatch((await read(digestsOf(large))).rawPayload);
  assert.equal(first.length, BLOB_BATCH_MAX_BYTES / BATCHED_BLOB_MAX_BYTES);
  assert.deepEqual(first, large.slice(0, first.length));
});

test("what is missing or damaged is left out, and damage is mended by the next batch", async (t) => {
  const { server, put, read } = await holderOf(t);
  const [kept, lost] = blobs(2, 50) as [BlobWithBytes, BlobWithBytes];
  await put([kept, lost]);
  const { pool } = server.services.database;
  await pool.query("UPDATE blob_bytes SET data = 'x' WHERE digest = $1", [lost.digest]);
  const absent = hash("sha256", "never stored");
  assert.deepEqual(decodeBlobBatch((await read([lost.digest, absent, kept.digest])).rawPayload), [kept]);
  await pool.query("UPDATE blobs SET damaged_at = now() WHERE digest = $1", [lost.digest]);
  await put([lost]);
  assert.deepEqual(decodeBlobBatch((await read([lost.digest])).rawPayload), [lost]);
});

test("batches are for the holder of the run alone, at its epoch", async (t) => {
  const { server, put, read, epoch } = await holderOf(t);
  const other = await testWorker(server);
  const batch = blobs(1, 10);
  assert.equal((await put(batch, epoch, other)).statusCode, 404);
  assert.equal((await read(digestsOf(batch), epoch, other)).statusCode, 404);
  assert.equal(errorOf(await put(batch, epoch + 1)).code, "stale_epoch");
  assert.equal(errorOf(await read(digestsOf(batch), epoch + 1)).code, "stale_epoch");
  const { rows } = await server.services.database.pool.query("SELECT count(*) FROM blobs");
  assert.deepEqual(rows, [{ count: 0 }]);
});

test("a batch larger than one may be is refused before it is in memory", async (t) => {
  const { put } = await holderOf(t);
  const refused = await put(blobs(20, BATCHED_BLOB_MAX_BYTES));
  assert.deepEqual([refused.statusCode, errorOf(refused).code], [413, "payload_too_large"]);
});

test("where even small blobs are objects, a batch of them is stored all the same", async (t) => {
  const { server, put, read } = await holderOf(t, 100);
  const [row, object] = [blob(randomBytes(99)), blob(randomBytes(100))];
  assert.equal((await put([object, row])).statusCode, 200);
  assert.deepEqual(await server.services.blobs.missing(server.project, digestsOf([row, object])), []);
  assert.deepEqual(decodeBlobBatch((await read(digestsOf([object, row]))).rawPayload), [row], "objects are read alone");
});
