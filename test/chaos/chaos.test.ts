import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { removeTree } from "../../src/std/remove-tree.ts";
import { ensureDocker, testImage } from "../setup/docker.ts";
import { AgentNetwork } from "./agent-network.ts";
import { chaosRun } from "./chaos-run.ts";
import { isClean, summary } from "./summary.ts";

/** A short one, with each kind of fault that fits in; `npm run chaos -- --minutes 30` is the long one. */
const DURATION_MS = 12_000;
/** Those that need no namespaces, and those that do. */
const KINDS = AgentNetwork.unavailable() === null ? 10 : 6;

test("whatever is killed, stopped or cut off, every run ends as it must, once, with every log line and nothing left behind", async (t) => {
  await using _docker = await ensureDocker();
  const folder = mkdtempSync(join(tmpdir(), "berth-chaos-"));
  const seed = Date.now() % 1_000_000;
  t.diagnostic(`seed ${seed}`);
  const result = await chaosRun({
    ...{ folder, seed, durationMs: DURATION_MS, backends: ["process", "docker"], say: (line) => t.diagnostic(line) },
    ...{ agents: 2, runsAtOnce: 3, faultIntervalMs: { min: 300, max: 2_000 }, signal: t.signal },
    image: await testImage(),
  });
  assert.ok(isClean(result), `see ${folder}\n${summary(result)}`);
  assert.equal(Object.keys(result.faults).length, KINDS, JSON.stringify(result.faults));
  assert.ok(result.runs > 0 && result.attempts > 0, summary(result));
  await removeTree(folder);
});
