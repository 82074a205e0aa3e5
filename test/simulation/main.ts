import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { startTestCluster } from "../setup/database.ts";
import { MUTANTS } from "./mutants.ts";
import { runChildren } from "./run-children.ts";
import { runMutants } from "./run-mutants.ts";

/**
 * `npm run simulate -- --seeds 5000`: server decisions, agents, network and machines by seeded chance, with everything
 * that can go wrong, and a judge. `--seed N` replays one of them, `--trace` prints what happens in it. `--mutants` puts
 * past failures back, one after the other, and shows that each is found.
 */

const { values } = parseArgs({
  options: {
    seeds: { type: "string" },
    seed: { type: "string" },
    store: { type: "string", default: "memory" },
    trace: { type: "boolean", default: false },
    mutants: { type: "boolean", default: false },
    /** With `--mutants`: only those whose name contains this. */
    only: { type: "string", default: "" },
    /** With `--mutants`: most seeds that are tried for each. */
    max: { type: "string" },
  },
});

const root = resolve(import.meta.dirname, "../..");
if (values.store !== "memory" && values.store !== "postgres") throw new Error("--store is memory or postgres");
const seeds = Number(values.seeds ?? (values.seed === undefined ? 1_000 : 1));
const wanted = MUTANTS.filter(({ name }) => name.includes(values.only));
// The real store is on a cluster of its own, unless there is one for tests.
await using cluster =
  (values.store === "postgres" || (values.mutants && wanted.some(({ store }) => store === "postgres"))) &&
  !process.env.BERTH_TEST_DATABASE_URL
    ? await startTestCluster()
    : null;
if (cluster !== null) process.env.BERTH_TEST_DATABASE_URL = cluster.url;
if (values.mutants) {
  process.exitCode = (await runMutants(
    { root, seedsMax: values.max === undefined ? null : Number(values.max) },
    wanted,
    process.stdout,
  ))
    ? 0
    : 1;
} else {
  await simulateSeeds();
}

async function simulateSeeds(): Promise<void> {
  const startedAt = performance.now();
  const results = await runChildren({
    ...{ root, seed: Number(values.seed ?? 1), seeds, store: values.store as "memory" | "postgres" },
    ...{ processes: values.trace ? 1 : availableParallelism(), first: false, trace: values.trace },
    onResult: ({ seed, violations }) => {
      if (violations.length === 0) return;
      process.stdout.write(`seed ${seed}:\n${violations.map((violation) => `  ${violation}\n`).join("")}`);
      process.stdout.write(`  replay it: npm run simulate -- --store ${values.store} --seed ${seed} --trace\n`);
    },
  });
  const bad = results.filter(({ violations }) => violations.length > 0);
  const hours = results.reduce((sum, { virtualMs }) => sum + virtualMs, 0) / 3_600_000;
  const events = results.reduce((sum, one) => sum + one.events, 0);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  process.stdout.write(
    `${results.length} seeds, ${hours.toFixed(1)} simulated hours, ${events} events in ${seconds} s: ` +
      `${bad.length === 0 ? "no violation" : `${bad.length} seeds with violations`}\n`,
  );
  if (seeds === 1) process.stdout.write(`trace ${results[0]?.hash}\n`);
  if (bad.length > 0) process.exitCode = 1;
}
