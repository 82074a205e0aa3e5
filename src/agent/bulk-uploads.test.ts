import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { pino } from "pino";
import type { BlobWithBytes } from "../protocol/blob-batch.ts";
import { BLOB_BATCH_MAX_BYTES, BLOB_BATCH_MAX_COUNT } from "../protocol/blob-batch.ts";
import { BerthError } from "../protocol/errors.ts";
import { Permits } from "../std/permits.ts";
import type { AgentClient } from "./agent-client.ts";
import { BulkUploads, batchesOf } from "./bulk-uploads.ts";

/** A store that counts what it is asked. */
class Store {
  readonly blobs = new Map<string, Buffer>();
  readonly asked: number[] = [];
  readonly batches: number[] = [];
  failures = 0;

  async missingBlobs(_run: string, _epoch: number, digests: readonly string[]): Promise<string[]> {
    this.asked.push(digests.length);
    return digests.filter((digest) => !this.blobs.has(digest));
  }

  async putBlobs(_run: string, _epoch: number, blobs: readonly BlobWithBytes[]): Promise<void> {
    if (this.failures-- > 0) throw new BerthError("unavailable", "the server is away");
    this.batches.push(blobs.length);
    for (const { digest, bytes } of blobs) this.blobs.set(digest, Buffer.from(bytes));
  }
}

function uploadsTo(t: TestContext, store: Store, texts: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), "berth-bulk-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const blobs = texts.map((text) => ({ digest: hash("sha256", text), size: Buffer.byteLength(text) }));
  for (const [index, { digest }] of blobs.entries()) writeFileSync(join(folder, digest), texts[index]!);
  const uploads = new BulkUploads({
    client: store as unknown as AgentClient,
    ...{ run: "run_x", epoch: 1, permits: new Permits(4), signal: new AbortController().signal },
    log: pino({ level: "silent" }),
    pathOf: ({ digest }) => join(folder, digest),
  });
  return { uploads, blobs };
}

test("ten thousand files are a handful of requests, and nothing is sent that is there already", async (t) => {
  const store = new Store();
  const texts = Array.from({ length: 10_000 }, (_, index) => `file ${index}`);
  store.blobs.set(hash("sha256", texts[0]!), Buffer.from(texts[0]!));
  const { uploads, blobs } = uploadsTo(t, store, texts);
  await uploads.ensureStored(blobs);
  assert.deepEqual(store.asked, [5_000, 5_000]);
  assert.equal(store.batches.length, 4);
  assert.equal(
    store.batches.reduce((sum, count) => sum + count, 0),
    9_999,
  );
  assert.equal(store.blobs.get(blobs[7]!.digest)!.toString(), "file 7");
});

test("what was stored is not asked for again, until the server says that it lacks it", async (t) => {
  const store = new Store();
  const { uploads, blobs } = uploadsTo(t, store, ["a", "b", "c"]);
  await uploads.ensureStored(blobs);
  await uploads.ensureStored(blobs);
  assert.deepEqual(store.asked, [3]);
  store.blobs.delete(blobs[1]!.digest);
  uploads.forget([blobs[1]!.digest]);
  await uploads.ensureStored(blobs);
  assert.deepEqual(
    [store.asked, store.batches],
    [
      [3, 1],
      [3, 1],
    ],
  );
});

test("a server that is away is waited for, and the batch is sent again", async (t) => {
  const store = new Store();
  store.failures = 2;
  const { uploads, blobs } = uploadsTo(t, store, ["a", "b"]);
  await uploads.ensureStored(blobs);
  assert.deepEqual(store.batches, [2]);
});

test("a batch is full by bytes or by number, and one that is too large for any stands alone", () => {
  const sizes = (list: readonly number[]) =>
    [...batchesOf(list.map((size) => ({ size })))].map((batch) => batch.length);
  assert.deepEqual(sizes(Array(BLOB_BATCH_MAX_COUNT + 1).fill(1)), [BLOB_BATCH_MAX_COUNT, 1]);
  assert.deepEqual(sizes([BLOB_BATCH_MAX_BYTES - 1, 1, 1]), [2, 1]);
  assert.deepEqual(sizes([1, BLOB_BATCH_MAX_BYTES + 1, 1]), [1, 1, 1]);
  assert.deepEqual(sizes([]), []);
});
