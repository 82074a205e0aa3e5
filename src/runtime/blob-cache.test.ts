import assert from "node:assert/strict";
import { hash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import os, { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { removeTree } from "../std/remove-tree.ts";
import { sealFile } from "./adopt-file.ts";
import { BlobCache } from "./blob-cache.ts";
import type { BlobFetcher, ManyFetcher } from "./blob-fetcher.ts";

let root: string;
before(() => {
  root = mkdtempSync(join(tmpdir(), "berth-blobs-"));
});
after(() => removeTree(root));

let count = 0;
const newFolder = () => join(root, `cache-${count++}`);

function open(folder = newFolder(), budgetBytes = 2 ** 40): Promise<BlobCache> {
  return BlobCache.open({ folder, budgetBytes });
}

function file(bytes: string): { path: string; digest: string; size: number } {
  const path = join(root, `file-${count++}`);
  writeFileSync(path, bytes);
  return { path, digest: hash("sha256", bytes), size: Buffer.byteLength(bytes) };
}

/** A server that has these blobs, and counts what it is asked for. */
function server(...blobs: string[]): { fetchBlob: BlobFetcher; asked: string[] } {
  const asked: string[] = [];
  const byDigest = new Map(blobs.map((bytes) => [hash("sha256", bytes), bytes]));
  return {
    asked,
    fetchBlob: async function* (digest) {
      asked.push(digest);
      const bytes = Buffer.from(byDigest.get(digest)!);
      for (let at = 0; at < bytes.length; at += 7) yield bytes.subarray(at, at + 7);
    },
  };
}

/** Makes a blob look as if it was last used at this time. */
function usedAt(cache: BlobCache, digest: string, ms: number): void {
  const path = cache.find(digest, null)!;
  utimesSync(path, new Date(ms), lstatSync(path).mtime);
}

test("an adopted file is found under its digest, read-only, without a copy", async () => {
  const cache = await open();
  const { path, digest, size } = file("hello");
  const blob = await cache.adopt(path, digest, size);
  assert.equal(readFileSync(blob, "utf8"), "hello");
  assert.equal(lstatSync(blob).mode & 0o777, 0o444);
  assert.equal(lstatSync(blob).ino, lstatSync(path).ino);
  assert.equal(cache.find(digest, size), blob);
  assert.equal(cache.usedBytes, 5);
});

test("equal bytes adopted twice are one blob", async () => {
  const cache = await open();
  const [one, other] = [file("same"), file("same")];
  assert.equal(await cache.adopt(one.path, one.digest, 4), await cache.adopt(other.path, other.digest, 4));
  assert.equal(cache.usedBytes, 4);
});

test("a file with another name, or with mode bits to keep, is copied, and keeps them", async () => {
  const cache = await open();
  const linked = file("linked");
  linkSync(linked.path, `${linked.path}-too`);
  const program = file("#!/bin/sh");
  chmodSync(program.path, 0o755);
  for (const { path, digest, size } of [linked, program]) {
    const blob = await cache.adopt(path, digest, size);
    assert.notEqual(lstatSync(blob).ino, lstatSync(path).ino);
    assert.equal(lstatSync(blob).mode & 0o777, 0o444);
  }
  assert.equal(lstatSync(program.path).mode & 0o777, 0o755);
});

test("a file that is not of the digest or size given never becomes a blob", async () => {
  const cache = await open();
  const { path, digest } = file("hello");
  await assert.rejects(cache.adopt(path, digest, 4), /changed/);
  linkSync(path, `${path}-too`);
  await assert.rejects(cache.adopt(path, hash("sha256", "other"), 5), /changed/);
  await assert.rejects(cache.adopt(path, "../../etc/passwd", 5));
  assert.equal(cache.usedBytes, 0);
});

test("what a process writes to an output that was taken is noticed before anybody reads it", async () => {
  const cache = await open();
  const { path, digest, size } = file("as it was");
  const late = openSync(path, "r+");
  const blob = await cache.adopt(path, digest, size);
  writeSync(late, "AS");
  closeSync(late);
  assert.equal(lstatSync(blob).ino, lstatSync(path).ino);
  const { fetchBlob, asked } = server("as it was");
  assert.equal(readFileSync(await cache.sourceOf(fetchBlob).ensure(digest, size), "utf8"), "as it was");
  assert.deepEqual(asked, [digest]);
});

test("a file that is another one by the time it is adopted never becomes a blob", async () => {
  const cache = await open();
  const { path, digest, size } = file("hashed");
  const hashed = openSync(path, "r");
  sealFile(hashed);
  for (const swap of [
    () => renameSync(file("others").path, path),
    () => {
      unlinkSync(path);
      symlinkSync("/etc/hostname", path);
    },
  ]) {
    swap();
    await assert.rejects(cache.adopt(path, digest, size, hashed), /changed/);
    assert.equal(cache.find(digest, size), null);
  }
  closeSync(hashed);
});

test("a missing blob is fetched once for all who ask at the same time", async () => {
  const cache = await open();
  const { fetchBlob, asked } = server("remote blob");
  const digest = hash("sha256", "remote blob");
  const source = cache.sourceOf(fetchBlob);
  const paths = await Promise.all(Array.from({ length: 10 }, () => source.ensure(digest, 11)));
  assert.equal(asked.length, 1);
  assert.equal(readFileSync(paths[0]!, "utf8"), "remote blob");
  await source.ensure(digest, 11);
  assert.equal(asked.length, 1);
});

test("a blob of unknown size is fetched by its digest alone", async () => {
  const source = (await open()).sourceOf(server("manifest").fetchBlob);
  assert.equal(readFileSync(await source.ensure(hash("sha256", "manifest"), null), "utf8"), "manifest");
});

test("bytes that are not those of the digest are refused and fetched again", async () => {
  const folder = newFolder();
  const cache = await open(folder);
  let calls = 0;
  const flaky: BlobFetcher = async function* () {
    yield Buffer.from(++calls < 3 ? "wrong" : "right");
  };
  const path = await cache.sourceOf(flaky).ensure(hash("sha256", "right"), 5);
  assert.equal(readFileSync(path, "utf8"), "right");

  const lying: BlobFetcher = async function* () {
    yield Buffer.from("wrong");
  };
  const wanted = hash("sha256", "never");
  await assert.rejects(cache.sourceOf(lying).ensure(wanted, 5), { code: "digest_mismatch" });
  assert.equal(cache.find(wanted, 5), null);
  assert.deepEqual(readdirSync(join(folder, "incoming")), []);
});

test("a sender that goes on for ever is cut off at the announced size", async () => {
  const endless: BlobFetcher = async function* () {
    for (;;) yield Buffer.alloc(1024);
  };
  await assert.rejects((await open()).sourceOf(endless).ensure("0".repeat(64), 10_000), { code: "digest_mismatch" });
});

test("a blob of which too large a size is said is fetched once, and refused", async () => {
  const cache = await open();
  const { fetchBlob, asked } = server("few bytes");
  const digest = hash("sha256", "few bytes");
  const signal = AbortSignal.timeout(10_000);
  const refused = { code: "digest_mismatch", message: /has 9 bytes, not 10/ };
  await assert.rejects(cache.sourceOf(fetchBlob).ensure(digest, 10, signal), refused);
  assert.equal(asked.length, 1);
  assert.equal(cache.find(digest, null), null);
});

test("one that gives up does not take the fetch from the others", async () => {
  const cache = await open();
  const go = Promise.withResolvers<void>();
  let aborted = false;
  const slow: BlobFetcher = async function* (_digest, _size, signal) {
    signal.addEventListener("abort", () => {
      aborted = true;
      go.reject(signal.reason);
    });
    await go.promise;
    yield Buffer.from("slow");
  };
  const source = cache.sourceOf(slow);
  const digest = hash("sha256", "slow");
  const stop = new AbortController();
  const [impatient, patient] = [source.ensure(digest, 4, stop.signal), source.ensure(digest, 4)];
  stop.abort(new Error("enough"));
  await assert.rejects(impatient, /enough/);
  assert.equal(aborted, false);
  go.resolve();
  assert.equal(readFileSync(await patient, "utf8"), "slow");
});

test("when the last one gives up, the fetch is aborted", async () => {
  const aborted = Promise.withResolvers<void>();
  const slow: BlobFetcher = async function* (_digest, _size, signal) {
    await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    yield Buffer.alloc(0);
  };
  const stop = new AbortController();
  const source = (await open()).sourceOf((...args) => {
    args[2].addEventListener("abort", () => aborted.resolve());
    return slow(...args);
  });
  const fetching = source.ensure("0".repeat(64), 4, stop.signal);
  stop.abort(new Error("enough"));
  await assert.rejects(fetching, /enough/);
  await aborted.promise;
});

test("a run whose fetch fails does not fail another run that waited for it", async () => {
  const cache = await open();
  const go = Promise.withResolvers<void>();
  const losing: BlobFetcher = async function* () {
    await go.promise;
    yield* [];
    throw new Error("the lease is lost");
  };
  const digest = hash("sha256", "shared");
  const first = cache.sourceOf(losing).ensure(digest, 6);
  const second = cache.sourceOf(server("shared").fetchBlob).ensure(digest, 6);
  go.resolve();
  await assert.rejects(first, /lease is lost/);
  assert.equal(readFileSync(await second, "utf8"), "shared");
});

test("a truncated blob is fetched again, and adopting over it mends it", async () => {
  const cache = await open();
  const { path, digest, size } = file("complete");
  const blob = await cache.adopt(path, digest, size);
  chmodSync(blob, 0o644);
  truncateSync(blob, 3);
  const { fetchBlob, asked } = server("complete");
  assert.equal(readFileSync(await cache.sourceOf(fetchBlob).ensure(digest, size), "utf8"), "complete");
  assert.equal(asked.length, 1);

  chmodSync(blob, 0o644);
  truncateSync(blob, 0);
  const again = file("complete");
  assert.equal(readFileSync(await cache.adopt(again.path, digest, size), "utf8"), "complete");
});

test("a blob from before the machine's last start is hashed before it is used again", async () => {
  const folder = newFolder();
  const cache = await open(folder);
  const [sound, damaged] = [file("sound"), file("damaged")];
  for (const { path, digest, size } of [sound, damaged]) {
    const blob = await cache.adopt(path, digest, size);
    chmodSync(blob, 0o644);
    if (digest === damaged.digest) writeFileSync(blob, "0000000");
    utimesSync(blob, new Date(1_000_000), new Date(1_000_000));
  }
  const { fetchBlob, asked } = server("damaged");
  const source = (await open(folder)).sourceOf(fetchBlob);
  await source.ensure(sound.digest, sound.size);
  assert.deepEqual(asked, []);
  assert.equal(readFileSync(await source.ensure(damaged.digest, damaged.size), "utf8"), "damaged");
  assert.deepEqual(asked, [damaged.digest]);
});

test("right after a start of the machine a blob is hashed once for each use, and not for ever", async (t) => {
  const cache = await open();
  const { path, digest, size } = file("early");
  const blob = await cache.adopt(path, digest, size);
  const { mock } = t.mock.method(os, "uptime", () => 5);
  t.after(() => {
    mock.restore();
    syncBuiltinESMExports();
  });
  syncBuiltinESMExports();
  const { fetchBlob, asked } = server();
  assert.equal(await cache.sourceOf(fetchBlob).ensure(digest, size), blob);
  assert.deepEqual(asked, []);
});

test("what was unused the longest is evicted first, and what is held never", async (t) => {
  const folder = newFolder();
  const first = await open(folder);
  const files = ["held!", "old!!", "new!!"].map(file);
  for (const { path, digest, size } of files) await first.adopt(path, digest, size);
  const [held, old, recent] = files.map(({ digest }) => digest) as [string, string, string];
  const hour = 3600_000;
  usedAt(first, held, Date.now() - 3 * hour);
  usedAt(first, old, Date.now() - 2 * hour);
  usedAt(first, recent, Date.now() - hour);

  // The next process knows the order from the disk.
  const cache = await open(folder, 12);
  assert.equal(cache.usedBytes, 15);
  const hold = cache.hold([held]);
  const added = file("+");
  await cache.adopt(added.path, added.digest, added.size);
  assert.deepEqual(
    [held, old, recent, added.digest].map((digest) => cache.find(digest, null) !== null),
    [true, false, true, true],
  );
  assert.equal(cache.usedBytes, 11);

  t.mock.timers.enable({ apis: ["Date"], now: Date.now() + hour });
  hold[Symbol.dispose]();
  const more = file("four");
  await cache.adopt(more.path, more.digest, more.size);
  assert.equal(existsSync(join(folder, "blobs", held.slice(0, 2), held)), false);
});

test("what was just used is not evicted, even above the budget", async () => {
  const cache = await open(newFolder(), 1);
  const { path, digest, size } = file("much more");
  await cache.adopt(path, digest, size);
  assert.notEqual(cache.find(digest, size), null);
});

test("a blob that another process evicted is fetched again", async () => {
  const folder = newFolder();
  const cache = await open(folder);
  const { path, digest, size } = file("shared");
  const blob = await cache.adopt(path, digest, size);
  await removeTree(join(folder, "blobs", digest.slice(0, 2)));
  assert.equal(existsSync(blob), false);
  const { fetchBlob } = server("shared");
  assert.equal(readFileSync(await cache.sourceOf(fetchBlob).ensure(digest, size), "utf8"), "shared");
});

test("what a process that died was receiving is removed in time, and nothing younger", async () => {
  const folder = newFolder();
  await open(folder);
  mkdirSync(join(folder, "incoming"), { recursive: true });
  for (const name of ["old", "young"]) writeFileSync(join(folder, "incoming", name), "");
  utimesSync(join(folder, "incoming", "old"), 1_000, 1_000);
  await open(folder);
  assert.deepEqual(readdirSync(join(folder, "incoming")), ["young"]);
});

test("it counts what it had, what it fetched and what it gave up", async (t) => {
  const cache = await open(newFolder(), 10);
  const { path, digest, size } = file("local");
  await cache.adopt(path, digest, size);
  const source = cache.sourceOf(server("remote").fetchBlob);
  await source.ensure(digest, size);
  await source.ensure(digest, size);
  await source.ensure(hash("sha256", "remote"), 6);
  const { blobs, usedBytes, hits, hitBytes, misses, fetchedBytes } = cache.figures;
  assert.deepEqual([blobs, usedBytes, hits, hitBytes, misses, fetchedBytes], [2, 11, 2, 10, 1, 6]);
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() + 3_600_000 });
  cache.hold([])[Symbol.dispose]();
  const { evictions, evictedBytes, usedBytes: left, budgetBytes } = cache.figures;
  assert.deepEqual([evictions, evictedBytes, left, budgetBytes], [1, 5, 6, 10]);
});

/** A server that hands out batches of at most three, and leaves some blobs out of them. */
function batches(texts: readonly string[], leftOut: ReadonlySet<string> = new Set()) {
  const byDigest = new Map(texts.map((text) => [hash("sha256", text), Buffer.from(text)]));
  const asked: number[] = [];
  const fetchMany: ManyFetcher = async (digests) => {
    asked.push(digests.length);
    const there = digests.filter((digest) => byDigest.has(digest) && !leftOut.has(digest));
    return there.slice(0, 3).map((digest) => ({ digest, bytes: byDigest.get(digest)! }));
  };
  return { fetchMany, asked };
}

test("many small blobs that are missing are fetched together, and count as fetched", async () => {
  const texts = Array.from({ length: 10 }, (_, index) => `text ${index}`);
  const { fetchMany, asked } = batches(texts);
  const cache = await open();
  const { fetchBlob, asked: alone } = server(...texts);
  const source = cache.sourceOf(fetchBlob, fetchMany);
  const blobs = texts.map((text) => ({ digest: hash("sha256", text), size: 6 }));
  const signal = new AbortController().signal;
  await source.prefetch(blobs, signal);
  assert.deepEqual(asked, [10, 7, 4, 1]);
  for (const { digest } of blobs) await source.ensure(digest, 6);
  assert.deepEqual([alone, cache.figures.misses, cache.figures.hits], [[], 10, 0]);
  await source.prefetch(blobs, signal);
  assert.equal(asked.length, 4, "nothing is missing");
});

test("what a batch leaves out, or brings with other bytes, is fetched alone", async () => {
  const texts = Array.from({ length: 10 }, (_, index) => `text ${index}`);
  const digests = texts.map((text) => hash("sha256", text));
  const { fetchMany } = batches(texts, new Set(digests.slice(8)));
  const lying: ManyFetcher = async (wanted, signal) => {
    const batch = await fetchMany(wanted, signal);
    return batch.map((blob) => (blob.digest === digests[0] ? { ...blob, bytes: Buffer.from("wrong!") } : blob));
  };
  const { fetchBlob, asked } = server(...texts);
  const source = (await open()).sourceOf(fetchBlob, lying);
  await source.prefetch(
    digests.map((digest) => ({ digest, size: 6 })),
    new AbortController().signal,
  );
  for (const [index, digest] of digests.entries()) {
    assert.equal(readFileSync(await source.ensure(digest, 6), "utf8"), texts[index]);
  }
  assert.deepEqual(asked, [digests[0], digests[8], digests[9]]);
});
