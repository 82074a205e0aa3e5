import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { removeTree } from "../../src/std/remove-tree.ts";
import { ensureDocker, testImage } from "../setup/docker.ts";
import { chaosRun } from "./chaos-run.ts";

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

await using _docker = await ensureDocker();
const folder = mkdtempSync(join(tmpdir(), "berth-chaos-"));
const say = (line: string) => process.stdout.write(`${line}\n`);
say(`${minutes} minutes of chaos, seed ${values.seed}, in ${folder}`);
const { runs, faults, verdict, leftovers } = await chaosRun({
  ...{ folder, backends, say, durationMs: minutes * 60_000, seed: Number(values.seed) },
  image: await testImage(),
});

const found = { ...verdict, leftovers };
say(`\nruns                ${runs}`);
for (const [name, count] of Object.entries(faults)) say(`${name.padEnd(36)}${count}`);
for (const [name, entries] of Object.entries(found)) {
  say(`${name.padEnd(20)}${entries.length}`);
  for (const entry of entries.slice(0, 20)) say(`    ${entry}`);
}
if (Object.values(found).some((entries) => entries.length > 0)) {
  say(`\nThe logs and the ledger are in ${folder}.`);
  process.exitCode = 1;
} else {
  await removeTree(folder);
}
