import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { BlobCache } from "../runtime/blob-cache.ts";
import { removeTree } from "../std/remove-tree.ts";
import { CacheCare } from "./cache-care.ts";

async function homeOf(t: TestContext) {
  const home = mkdtempSync(join(tmpdir(), "berth-care-"));
  t.after(() => removeTree(home));
  const cache = await BlobCache.open({ folder: join(home, "cache"), budgetBytes: 2 ** 30 });
  const care = new CacheCare(home, { cacheBytesMax: 2 ** 30 });
  /** A blob that was used this long ago. */
  const blob = async (text: string, hoursAgo: number): Promise<string> => {
    const [file, digest] = [join(home, "file"), hash("sha256", text)];
    writeFileSync(file, text);
    const path = await cache.adopt(file, digest, Buffer.byteLength(text));
    await removeTree(file);
    const used = new Date(Date.now() - hoursAgo * 3_600_000);
    utimesSync(path, used, new Date(Math.floor(Date.now() / 1000) * 1000));
    return digest;
  };
  const isThere = (digest: string) => existsSync(join(home, "cache", "blobs", digest.slice(0, 2), digest));
  const journal = (run: string, text: string) => {
    mkdirSync(join(home, "runs", run), { recursive: true });
    writeFileSync(join(home, "runs", run, "journal.jsonl"), text);
  };
  return { home, cache, care, blob, isThere, journal };
}

test("what it holds is shown, with what a run needs and since when the oldest is unused", async (t) => {
  const { care, blob } = await homeOf(t);
  assert.deepEqual((await care.show()).oldestUse, null);
  await blob("older", 5);
  await blob("just now", 0);
  const { blobs, bytes, neededBytes, budgetBytes, oldestUse } = await care.show();
  assert.deepEqual([blobs, bytes, neededBytes, budgetBytes], [2, 13, 8, 2 ** 30]);
  assert.ok(Math.abs(Date.parse(oldestUse!) - (Date.now() - 5 * 3_600_000)) < 60_000);
});

test("pruning takes the longest unused first, and nothing that was just used", async (t) => {
  const { care, blob, isThere } = await homeOf(t);
  const [oldest, older, recent] = [await blob("1111", 3), await blob("2222", 2), await blob("3333", 0)];
  assert.deepEqual(await care.prune(9), { removed: 1, removedBytes: 4, leftBytes: 8 });
  assert.deepEqual([oldest, older, recent].map(isThere), [false, true, true]);
  assert.deepEqual(await care.prune(0), { removed: 1, removedBytes: 4, leftBytes: 4 });
  assert.deepEqual([older, recent].map(isThere), [false, true]);
});

test("what the journal of a run names stays, and so do the files of the folders that it names", async (t) => {
  const { care, blob, isThere, journal } = await homeOf(t);
  const [output, file, other] = [await blob("an output", 3), await blob("in a folder", 3), await blob("of nobody", 3)];
  const entry = { digest: file, kind: "file", mode: 0o644, path: "a", size: 11 };
  const folder = await blob(JSON.stringify({ entries: [entry], schema: 1 }), 3);
  journal("run_1.1", `{"type":"result","outputs":[{"digest":"${output}"},{"digest":"${folder}"}]}\n`);
  const { removed } = await care.prune(0);
  assert.equal(removed, 1);
  assert.deepEqual([output, folder, file, other].map(isThere), [true, true, true, false]);
});

test("an agent that runs goes on when somebody prunes what it holds", async (t) => {
  const { cache, care, blob } = await homeOf(t);
  const digest = await blob("fetched again", 2);
  await care.prune(0);
  assert.equal(cache.find(digest, 13), null);
  const source = cache.sourceOf(async function* () {
    yield Buffer.from("fetched again");
  });
  await source.ensure(digest, 13);
  assert.equal(cache.usedBytes, 13);
});

test("verifying hashes everything, and removes what is damaged", async (t) => {
  const { home, cache, care, blob, isThere } = await homeOf(t);
  const [sound, damaged] = [await blob("sound", 1), await blob("damaged", 1)];
  const path = join(home, "cache", "blobs", damaged.slice(0, 2), damaged);
  chmodSync(path, 0o644);
  writeFileSync(path, "damagEd");
  utimesSync(path, new Date(), new Date(Math.floor(Date.now() / 1000) * 1000));
  assert.deepEqual(await care.verify(), { blobs: 2, bytes: 12, damaged: [damaged] });
  assert.deepEqual([isThere(sound), isThere(damaged)], [true, false]);
  assert.equal(cache.find(damaged, 7), null);
  assert.deepEqual((await care.verify()).damaged, []);
});
