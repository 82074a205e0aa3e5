import assert from "node:assert/strict";
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { treeSize } from "./tree-size.ts";

const ANY = { bytes: Number.POSITIVE_INFINITY, entries: Number.POSITIVE_INFINITY };
const MiB = 1024 ** 2;
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "berth-size-"));
});
afterEach(() => rmSync(root, { recursive: true }));

test("a tree is counted as the disk holds it: holes take nothing, and a file with two names counts once", async () => {
  mkdirSync(join(root, "a/b"), { recursive: true });
  writeFileSync(join(root, "a/b/file"), Buffer.alloc(MiB, 1));
  linkSync(join(root, "a/b/file"), join(root, "again"));
  writeFileSync(join(root, "hole"), "");
  truncateSync(join(root, "hole"), 1000 * MiB);
  const { bytes, entries } = await treeSize(root, ANY);
  assert.equal(entries, 6);
  assert.ok(bytes >= MiB && bytes < 1.2 * MiB, `${bytes} bytes`);
});

test("links are not followed, and what is not there counts nothing", async () => {
  symlinkSync("/usr", join(root, "link"));
  assert.equal((await treeSize(root, ANY)).entries, 2);
  assert.deepEqual(await treeSize(join(root, "gone"), ANY), { bytes: 0, entries: 0 });
});

test("counting stops as soon as it is more than was asked about", async () => {
  for (let index = 0; index < 50; index++) writeFileSync(join(root, `file-${index}`), "x");
  assert.equal((await treeSize(root, { ...ANY, entries: 10 })).entries, 11);
  writeFileSync(join(root, "big"), Buffer.alloc(MiB, 1));
  assert.ok((await treeSize(root, { ...ANY, bytes: MiB / 2 })).bytes > MiB / 2);
});
