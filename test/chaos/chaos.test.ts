import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { removeTree } from "../../src/std/remove-tree.ts";
import { ensureDocker, testImage } from "../setup/docker.ts";
import { chaosRun } from "./chaos-run.ts";

/** A short one; `npm run chaos -- --minutes 30` is the long one. */
const DURATION_MS = 15_000;

test("whatever is killed, every run ends as it must, once, with every log line and nothing left behind", async (t) => {
  await using _docker = await ensureDocker();
  const folder = mkdtempSync(join(tmpdir(), "berth-chaos-"));
  const seed = Date.now() % 1_000_000;
  t.diagnostic(`seed ${seed}`);
  const { runs, faults, verdict, leftovers } = await chaosRun({
    ...{ folder, seed, durationMs: DURATION_MS, backends: ["process", "docker"], say: (line) => t.diagnostic(line) },
    image: await testImage(),
  });
  const nothing = { lost: [], duplicated: [], overlapping: [], stale: [], logGaps: [], wrongBytes: [] };
  assert.deepEqual({ ...verdict, leftovers }, { ...nothing, leftovers: [] }, `see ${folder}`);
  assert.ok(runs > 0 && Object.keys(faults).length > 0, JSON.stringify({ runs, faults }));
  await removeTree(folder);
});
