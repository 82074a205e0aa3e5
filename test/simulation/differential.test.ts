import assert from "node:assert/strict";
import { resolve } from "node:path";
import { test } from "node:test";
import { startTestCluster } from "../setup/database.ts";
import { runChildren } from "./run-children.ts";

const root = resolve(import.meta.dirname, "../..");
/** A query really takes time, so these are few; more: `npm run simulate -- --store postgres --seeds 500`. */
const SECONDS_MAX = 20;
const SEEDS = 40;

test("seeds tell the same story with the real server on a real PostgreSQL as with the model of it", async (t) => {
  await using cluster = process.env.BERTH_TEST_DATABASE_URL ? null : await startTestCluster();
  if (cluster !== null) process.env.BERTH_TEST_DATABASE_URL = cluster.url;
  const some = { root, seed: 1, seeds: SEEDS, processes: 1, first: false } as const;
  const real = await runChildren({ ...some, store: "postgres", secondsMax: SECONDS_MAX });
  const model = await runChildren({ ...some, store: "memory", seeds: real.length });
  assert.ok(real.length > 0);
  assert.deepEqual(
    real.map(({ seed, violations, hash }) => ({ seed, violations, hash })),
    model.map(({ seed, hash }) => ({ seed, violations: [], hash })),
  );
  t.diagnostic(`${real.length} seeds`);
});
