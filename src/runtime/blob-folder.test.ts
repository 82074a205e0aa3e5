import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { UPLOAD_MIN_BYTES } from "../protocol/transfers.ts";
import { BlobCache } from "./blob-cache.ts";
import { BlobFolder } from "./blob-folder.ts";

function setUp(t: TestContext) {
  const root = mkdtempSync(join(tmpdir(), "berth-blob-folder-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const folder = new BlobFolder(root);
  return { root, folder, incoming: join(root, "incoming") };
}

const digestOf = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest("hex");

test("what an earlier process of the same id had received, as in a container, is gone on with", async (t) => {
  const { root, incoming } = setUp(t);
  const bytes = randomBytes(UPLOAD_MIN_BYTES);
  const digest = digestOf(bytes);
  writeFileSync(join(incoming, `${digest}.${process.pid}-AAAAAAAAAAAA`), bytes.subarray(0, 5_000_000));
  const cache = await BlobCache.open({ folder: root, budgetBytes: 2 ** 40 });
  const asked: number[] = [];
  const source = cache.sourceOf(async function* (_digest, _size, _signal, from) {
    asked.push(from);
    yield bytes.subarray(from);
  });
  assert.ok(readFileSync(await source.ensure(digest, bytes.length)).equals(bytes));
  assert.deepEqual(asked, [5_000_000]);
  assert.deepEqual(readdirSync(incoming), []);
});

test("what this process is receiving is not taken by another fetch", (t) => {
  const { folder } = setUp(t);
  const digest = digestOf("x");
  const first = folder.takePartial(digest);
  writeFileSync(first, "x");
  const second = folder.takePartial(digest);
  assert.throws(() => readFileSync(second), { code: "ENOENT" });
  assert.equal(readFileSync(first, "utf8"), "x");
});

test("of what was left half received a few are kept, and none for ever", (t) => {
  const { folder, incoming } = setUp(t);
  const leave = (text: string) => {
    const file = folder.takePartial(digestOf(text));
    writeFileSync(file, text);
    writeFileSync(`${file}.parts`, "");
    folder.leavePartial(file, digestOf(text));
  };
  const left = () => readdirSync(incoming).filter((name) => !name.endsWith(".parts"));
  for (let index = 0; index < 20; index++) leave(String(index));
  assert.equal(left().length, 16);
  assert.equal(readdirSync(incoming).length, 32);
  for (const name of left()) utimesSync(join(incoming, name), 1_000, 1_000);
  folder.takePartial(digestOf("another"));
  assert.deepEqual(readdirSync(incoming), []);
});
