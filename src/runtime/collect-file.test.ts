import assert from "node:assert/strict";
import { appendFileSync, lstatSync, mkdtempSync, renameSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { removeTree } from "../std/remove-tree.ts";
import { BlobCache } from "./blob-cache.ts";
import { collectFile } from "./collect-file.ts";
import { OutputBudget } from "./output-problem.ts";

async function collectorOf(t: TestContext) {
  const root = mkdtempSync(join(tmpdir(), "berth-collect-file-"));
  t.after(() => removeTree(root));
  const cache = await BlobCache.open({ folder: join(root, "cache"), budgetBytes: 2 ** 40 });
  const budget = new OutputBudget({ outputBytesMax: 2 ** 30, outputEntriesMax: 10 });
  const options = { cache: cache.sourceOf(() => assert.fail("nothing is fetched")), budget };
  return { root, cache, options };
}

test("a file that grows between being seen and being read, or while it is read, is refused", async (t) => {
  const { root, cache, options } = await collectorOf(t);
  for (const size of [10, 3_000_000]) {
    const path = join(root, `log-${size}`);
    writeFileSync(path, "x".repeat(size));
    const seen = lstatSync(path);
    appendFileSync(path, "more");
    const refused = { code: "output-unsafe", message: /changed while it was being collected/ };
    await assert.rejects(collectFile(path, seen, options), refused);
    const collecting = collectFile(path, lstatSync(path), options);
    if (size > 1_000_000) {
      // It is hashed by a thread, so there is time to write to it.
      appendFileSync(path, "and more");
      await assert.rejects(collecting, refused);
    } else await collecting;
  }
  assert.equal(cache.figures.blobs, 1);
});

test("a file of the same size and name that is another one is refused", async (t) => {
  const { root, options } = await collectorOf(t);
  const [path, other] = [join(root, "a"), join(root, "b")];
  writeFileSync(path, "seen");
  const seen = lstatSync(path);
  writeFileSync(other, "took");
  renameSync(other, path);
  await assert.rejects(collectFile(path, seen, options), { code: "output-unsafe" });
});
