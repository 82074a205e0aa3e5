import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { pythons } from "../../sdk/python/tests/pythons.ts";
import { venvWith } from "../../sdk/python/tests/venv.ts";
import { removeTree } from "../../src/std/remove-tree.ts";
import { transferTrial } from "./trial.ts";
import { trialStore } from "./trial-store.ts";

const GIB = 1024 ** 3;
/** Long enough for some hundred megabytes, far too short for the whole. */
const KILL_INTERVAL_MS = { min: 4_000, max: 10_000 };

/** `npm run transfers -- [--gib 5] [--files 100000] [--store folder|s3] [--seed N]`: exits 1 when anything is not as it was. */
const { values } = parseArgs({
  options: {
    gib: { type: "string", default: "5" },
    files: { type: "string", default: "100000" },
    store: { type: "string", multiple: true, default: ["folder", "s3"] },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => interrupted.abort(new Error(`ended by ${signal}`)));
}
const pandas = venvWith(pythons().at(-1)!, ["numpy", "pandas", "pyarrow", "polars"]);
if (pandas === null) process.stdout.write("skipped: a pandas frame, as pandas cannot be installed here\n");
const say = (line: string) => process.stdout.write(`${line}\n`);
for (const store of values.store) {
  await using owned = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), `berth-transfers-${store}-`));
  say(`${values.gib} GiB and ${values.files} files on the ${store} store, seed ${values.seed}, in ${folder}`);
  const result = await transferTrial({
    ...{ folder, say, signal: interrupted.signal, seed: Number(values.seed), killIntervalMs: KILL_INTERVAL_MS },
    ...{ bigBytes: Math.round(Number(values.gib) * GIB), files: Number(values.files) },
    ...{ ...(await trialStore(store, folder, owned)), pandas },
  });
  for (const problem of result.problems) say(`  ${problem}`);
  say(`${result.problems.length === 0 ? "passed" : "FAILED"}: ${JSON.stringify({ ...result, problems: undefined })}`);
  if (result.problems.length === 0) await removeTree(folder);
  else process.exitCode = 1;
}
