import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { removeTree } from "../../src/std/remove-tree.ts";
import { transferTrial } from "./trial.ts";

const GIB = 1024 ** 3;
/** Long enough for some hundred megabytes, far too short for the whole. */
const KILL_INTERVAL_MS = { min: 1_500, max: 5_000 };

/** `npm run transfers -- [--gib 5] [--files 100000] [--store folder] [--seed N]`: exits 1 when anything is not as it was. */
const { values } = parseArgs({
  options: {
    gib: { type: "string", default: "5" },
    files: { type: "string", default: "100000" },
    store: { type: "string", multiple: true, default: ["folder"] },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => interrupted.abort(new Error(`ended by ${signal}`)));
}
const say = (line: string) => process.stdout.write(`${line}\n`);
for (const store of values.store) {
  const folder = mkdtempSync(join(tmpdir(), `berth-transfers-${store}-`));
  say(`${values.gib} GiB and ${values.files} files on the ${store} store, seed ${values.seed}, in ${folder}`);
  const result = await transferTrial({
    ...{ folder, say, signal: interrupted.signal, seed: Number(values.seed), killIntervalMs: KILL_INTERVAL_MS },
    ...{ bigBytes: Math.round(Number(values.gib) * GIB), files: Number(values.files) },
    ...{ serverEnv: {}, frames: false },
  });
  for (const problem of result.problems) say(`  ${problem}`);
  say(`${result.problems.length === 0 ? "passed" : "FAILED"}: ${JSON.stringify({ ...result, problems: undefined })}`);
  if (result.problems.length === 0) await removeTree(folder);
  else process.exitCode = 1;
}
