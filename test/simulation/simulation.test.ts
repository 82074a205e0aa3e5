import assert from "node:assert/strict";
import { resolve } from "node:path";
import { test } from "node:test";
import { MUTANTS } from "./mutants.ts";
import { runChildren } from "./run-children.ts";
import { firstViolation, misfitOf } from "./run-mutants.ts";

const root = resolve(import.meta.dirname, "../..");
/** Beside the other tests two processes are enough; more seeds: `npm run simulate -- --seeds 20000`. */
const PROCESSES = 2;
const SEEDS = 4_000;
/** How many of them that is depends on the machine, so that nobody waits for long; at least so many it has to be. */
const SECONDS_MAX = 45;
const SEEDS_MIN = 150;

test("whatever goes wrong, seed by seed: no run is lost, no success is false or double, nothing stays behind", async (t) => {
  const results = await runChildren({
    ...{ root, seed: 1, seeds: SEEDS, store: "memory", processes: PROCESSES, first: true },
    secondsMax: SECONDS_MAX,
  });
  const bad = results.filter(({ violations }) => violations.length > 0);
  const replay = (seed: number) => `npm run simulate -- --seed ${seed} --trace`;
  assert.deepEqual(
    bad.map(({ seed, violations }) => ({ violations, replay: replay(seed) })),
    [],
  );
  assert.ok(results.length >= SEEDS_MIN, `only ${results.length} seeds`);
  const hours = results.reduce((sum, { virtualMs }) => sum + virtualMs, 0) / 3_600_000;
  t.diagnostic(`${results.length} seeds, ${hours.toFixed(1)} simulated hours`);
});

test("a seed replays: the same things happen at the same times", async () => {
  const one = { root, seed: 4_711, seeds: 5, store: "memory", processes: 1, first: false } as const;
  const [before, again] = [await runChildren(one), await runChildren(one)];
  assert.deepEqual(again, before);
  assert.equal(new Set(before.map(({ hash }) => hash)).size, 5);
});

test("every past failure can still be put back: the texts that the mutants replace are there once", () => {
  assert.deepEqual(
    MUTANTS.map((mutant) => misfitOf(root, mutant)).filter((misfit) => misfit !== null),
    [],
  );
});

test("a mutant is found: an agent that reports a success before those of what it read", async () => {
  const mutant = MUTANTS.find(({ name }) => name === "a success is reported before those of what it read");
  const seen = await firstViolation(root, mutant!, 300);
  assert.equal(typeof seen, "object", JSON.stringify(seen));
});
