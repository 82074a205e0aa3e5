import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { removeTree } from "../../src/std/remove-tree.ts";
import { ensureDocker, testImage } from "../setup/docker.ts";
import { chaosRun } from "./chaos-run.ts";
import { isClean, summary } from "./summary.ts";

/** A process needs a second or two to be back at work; most faults find everything up, and some do not. */
const FAULT_INTERVAL_MS = { min: 500, max: 4_500 };

/**
 * `npm run chaos -- [--minutes 5] [--seed N] [--backend process]`: exits 1 when the judge found anything, and then keeps
 * the folder with the logs of every part and the ledger.
 */
const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "5" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    backend: { type: "string", multiple: true, default: ["process", "docker"] },
  },
});
const minutes = Number(values.minutes);
const backends = values.backend.filter((name) => name === "process" || name === "docker");
if (!(minutes > 0) || backends.length === 0) {
  process.stderr.write("usage: npm run chaos -- [--minutes N] [--seed N] [--backend process|docker]\n");
  process.exit(2);
}

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => interrupted.abort(new Error(`ended by ${signal}`)));
}

await using _docker = await ensureDocker();
const folder = mkdtempSync(join(tmpdir(), "berth-chaos-"));
const say = (line: string) => process.stdout.write(`${line}\n`);
say(`${minutes} minutes of chaos, seed ${values.seed}, in ${folder}`);
try {
  const result = await chaosRun({
    ...{ folder, backends, say, durationMs: minutes * 60_000, seed: Number(values.seed) },
    ...{ agents: 3, runsAtOnce: 8, faultIntervalMs: FAULT_INTERVAL_MS, signal: interrupted.signal },
    image: await testImage(),
  });
  say(`\n${summary(result)}`);
  if (isClean(result)) await removeTree(folder);
  else {
    say(`\nThe logs and the ledger are in ${folder}.`);
    process.exitCode = 1;
  }
} catch (error) {
  if (!interrupted.signal.aborted) throw error;
  say(String(interrupted.signal.reason));
  await removeTree(folder);
  process.exitCode = 130;
}
