import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { removeTree } from "../../src/std/remove-tree.ts";
import { transferTrial } from "./trial.ts";
import { trialStore } from "./trial-store.ts";

const MIB = 1024 ** 2;

/** Small ones; `npm run transfers` is the large one. */
for (const name of ["folder", "s3"]) {
  test(`what is moved over the ${name} store while agents and servers are killed arrives as it was, and nothing else is left`, async (t) => {
    await using owned = new AsyncDisposableStack();
    const folder = mkdtempSync(join(tmpdir(), "berth-transfers-"));
    const { problems, killsWhileStoring, killsWhileFetching } = await transferTrial({
      ...(await trialStore(name, folder, owned)),
      ...{ folder, pandas: null, signal: t.signal, say: (line) => t.diagnostic(line) },
      ...{ bigBytes: 64 * MIB, files: 300, seed: 7, killIntervalMs: { min: 1_000, max: 3_000 } },
    });
    assert.deepEqual(problems, [], `see ${folder}`);
    assert.ok(killsWhileStoring + killsWhileFetching > 0, "nothing was killed");
    await removeTree(folder);
  });
}
