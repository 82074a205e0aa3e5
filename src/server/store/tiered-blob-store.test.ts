import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readdir, rename, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { type TestContext, test } from "node:test";
import { testDatabase } from "../../../test/setup/database.ts";
import { newId } from "../../protocol/ids.ts";
import { openFolderStore } from "../objects/folder-store.ts";
import { OBJECT_TIER_MIN_BYTES, oneStore } from "../objects/object-tiers.ts";
import type { BlobStore } from "./blobs.ts";
import { Database } from "./database.ts";
import { tieredBlobStore } from "./tiered-blob-store.ts";

interface Setup {
  readonly store: BlobStore;
  readonly database: Database;
  readonly folder: string;
  readonly project: string;
}

async function setup(t: TestContext): Promise<Setup> {
  const { url } = await testDatabase(t);
  const database = new Database({ url });
  const folder = await mkdtemp(join(tmpdir(), "berth-blobs-"));
  t.after(async () => {
    await database[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });
  const { rows } = await database.pool.query<{ id: string }>("SELECT id FROM projects");
  return {
    store: tieredBlobStore(database, oneStore(openFolderStore(folder))),
    database,
    folder,
    project: rows[0]!.id,
  };
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function files(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** In pieces, as from a network. */
function streamed(bytes: Buffer): Readable {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 65_536) pieces.push(bytes.subarray(at, at + 65_536));
  return Readable.from(pieces);
}

const SIZES = [0, 1, 100_000, OBJECT_TIER_MIN_BYTES - 1, OBJECT_TIER_MIN_BYTES, OBJECT_TIER_MIN_BYTES + 12_345];

test("blobs of every size come back byte for byte, whole and in part, and lie in the tier of their size", async (t) => {
  const { store, database, folder, project } = await setup(t);
  for (const size of SIZES) {
    const bytes = randomBytes(size);
    const digest = sha256(bytes);
    assert.deepEqual(await store.missing(project, [digest]), [digest]);
    await store.put(project, digest, size, streamed(bytes));
    assert.deepEqual(await store.missing(project, [digest]), []);
    const whole = await store.open(project, digest);
    assert.equal(whole?.size, size);
    assert.ok((await buffer(whole.stream)).equals(bytes), `${size} bytes`);
    if (size < 10) continue;
    const part = await store.open(project, digest, { start: 3, end: size - 2 });
    assert.equal(part?.size, size);
    assert.ok((await buffer(part.stream)).equals(bytes.subarray(3, size - 1)));
  }
  const { rows } = await database.pool.query("SELECT tier, count(*) FROM blobs GROUP BY tier ORDER BY tier");
  assert.deepEqual(rows, [
    { tier: "database", count: 4 },
    { tier: "object", count: 2 },
  ]);
  assert.equal((await files(folder)).length, 2);
});

test("bytes that are not the blob announced are refused, and nothing of them is visible", async (t) => {
  const { store, folder, project } = await setup(t);
  for (const size of [1000, OBJECT_TIER_MIN_BYTES + 1000]) {
    const bytes = randomBytes(size);
    const digest = sha256(bytes);
    const wrong = [Buffer.concat([bytes, Buffer.from("x")]), bytes.subarray(1), randomBytes(size)];
    for (const other of wrong) {
      await assert.rejects(store.put(project, digest, size, streamed(other)), { code: "digest_mismatch" });
    }
    assert.equal(await store.open(project, digest), null);
    assert.deepEqual(await store.missing(project, [digest]), [digest]);
  }
  assert.deepEqual(await files(folder), []);
});

test("the same blob put many times at once is stored once", async (t) => {
  const { store, database, project } = await setup(t);
  for (const size of [5_000, OBJECT_TIER_MIN_BYTES]) {
    const bytes = randomBytes(size);
    const digest = sha256(bytes);
    await Promise.all(Array.from({ length: 8 }, () => store.put(project, digest, size, streamed(bytes))));
    assert.ok((await buffer((await store.open(project, digest))!.stream)).equals(bytes));
  }
  const { rows } = await database.pool.query("SELECT count(*) FROM blobs");
  assert.deepEqual(rows, [{ count: 2 }]);
});

test("a blob that is there already is read to its end, checked, and stored no second time", async (t) => {
  const { store, project } = await setup(t);
  const bytes = randomBytes(200_000);
  const digest = sha256(bytes);
  await store.put(project, digest, bytes.length, bytes);
  const again = streamed(bytes);
  await store.put(project, digest, bytes.length, again);
  assert.equal(again.readableEnded, true);
  await assert.rejects(store.put(project, digest, bytes.length, streamed(randomBytes(200_000))), {
    code: "digest_mismatch",
  });
});

test("a project does not see the blobs of another", async (t) => {
  const { store, database, project } = await setup(t);
  const other = newId("project");
  await database.pool.query("INSERT INTO projects (id, name) VALUES ($1, 'other')", [other]);
  for (const size of [10, OBJECT_TIER_MIN_BYTES]) {
    const bytes = randomBytes(size);
    await store.put(project, sha256(bytes), size, bytes);
    assert.equal(await store.open(other, sha256(bytes)), null);
    assert.deepEqual(await store.missing(other, [sha256(bytes)]), [sha256(bytes)]);
  }
});

test("a damaged blob fails instead of being read to its end", async (t) => {
  const { store, database, folder, project } = await setup(t);
  const small = randomBytes(1000);
  await store.put(project, sha256(small), small.length, small);
  await database.pool.query("UPDATE blob_bytes SET data = set_byte(data, 500, (get_byte(data, 500) + 1) % 256)");
  await assert.rejects(store.open(project, sha256(small)), /damaged/);

  const large = randomBytes(OBJECT_TIER_MIN_BYTES);
  await store.put(project, sha256(large), large.length, large);
  const [file] = await files(folder);
  large[large.length - 1]! ^= 1;
  const digest = sha256(Buffer.from(large).fill(large[large.length - 1]! ^ 1, large.length - 1));
  await writeFile(file!, large);
  let received = 0;
  const damaged = await store.open(project, digest);
  await assert.rejects(async () => {
    for await (const chunk of damaged!.stream) received += chunk.length;
  }, /damaged/);
  assert.ok(received < large.length);
  await truncate(file!, 100);
  await assert.rejects(async () => await buffer((await store.open(project, digest))!.stream), /damaged/);
  await rm(file!);
  await assert.rejects(store.open(project, digest), /damaged/);
});

test("a large blob is never whole in memory", async (t) => {
  const { store, project } = await setup(t);
  const size = 300 * 1024 * 1024;
  const piece = randomBytes(1024 * 1024);
  const hash = createHash("sha256");
  for (let at = 0; at < size; at += piece.length) hash.update(piece);
  function* pieces(): Generator<Buffer> {
    for (let at = 0; at < size; at += piece.length) yield piece;
  }
  const digest = hash.digest("hex");
  const before = process.memoryUsage().rss;
  let peak = before;
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().rss);
  }, 10);
  await store.put(project, digest, size, Readable.from(pieces()));
  let read = 0;
  for await (const chunk of (await store.open(project, digest))!.stream) read += chunk.length;
  clearInterval(watch);
  assert.equal(read, size);
  assert.ok(peak - before < 120 * 1024 * 1024, `${Math.round((peak - before) / 1024 / 1024)} MiB more`);
});

test("each upload has an object of its own: of several at once, one is named and the others are gone", async (t) => {
  const { store, database, folder, project } = await setup(t);
  const bytes = randomBytes(OBJECT_TIER_MIN_BYTES);
  await Promise.all(Array.from({ length: 4 }, () => store.put(project, sha256(bytes), bytes.length, streamed(bytes))));
  const { rows } = await database.pool.query<{ object_key: string }>("SELECT object_key FROM blobs");
  assert.deepEqual(await files(folder), [join(folder, "objects", rows[0]!.object_key)]);
});

test("a damaged blob that is stored again gets a new object, whatever is left of the old one", async (t) => {
  const { store, database, folder, project } = await setup(t);
  const bytes = randomBytes(OBJECT_TIER_MIN_BYTES);
  const digest = sha256(bytes);
  await store.put(project, digest, bytes.length, bytes);
  const [first] = await files(folder);
  // As it was called before uploads had keys of their own.
  const shared = join(folder, "objects", "blobs", project, digest.slice(0, 2), digest);
  await rename(first!, shared);
  await database.pool.query("UPDATE blobs SET object_key = NULL");
  assert.ok((await buffer((await store.open(project, digest))!.stream)).equals(bytes), "it is still read");
  await truncate(shared, 100);
  assert.deepEqual([...(await store.faulty(project, [digest], 0))], [[digest, "damaged"]]);
  await store.put(project, digest, bytes.length, bytes);
  assert.ok((await buffer((await store.open(project, digest))!.stream)).equals(bytes));
  assert.deepEqual([...(await store.faulty(project, [digest], bytes.length))], []);
});

test("the largest blobs go to the store of large ones, and stay readable when the sizes are changed", async (t) => {
  const { database, folder, project } = await setup(t);
  const sizes = { objectMinBytes: 1000, largeMinBytes: 2000 };
  const [object, large] = [openFolderStore(join(folder, "main")), openFolderStore(join(folder, "large"))];
  const store = tieredBlobStore(database, { object, large, ...sizes, known: null });
  const blobs = [999, 1000, 1999, 2000].map((size) => randomBytes(size));
  for (const bytes of blobs) await store.put(project, sha256(bytes), bytes.length, bytes);
  const { rows } = await database.pool.query("SELECT size, tier FROM blobs ORDER BY size");
  assert.deepEqual(
    rows.map(({ size, tier }) => [size, tier]),
    [
      [999, "database"],
      [1000, "object"],
      [1999, "object"],
      [2000, "large"],
    ],
  );
  assert.deepEqual([(await files(join(folder, "main"))).length, (await files(join(folder, "large"))).length], [2, 1]);
  const later = tieredBlobStore(database, { object, large, objectMinBytes: 10, largeMinBytes: 20, known: null });
  for (const bytes of blobs) {
    assert.ok((await buffer((await later.open(project, sha256(bytes)))!.stream)).equals(bytes));
  }
});
