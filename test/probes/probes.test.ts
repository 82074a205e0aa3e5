import assert from "node:assert/strict";
import { test } from "node:test";
import { ensureDocker } from "../setup/docker.ts";
import { PROBES } from "./probes.ts";
import { HEARTBEAT_GAP_MAX_MS, probeTrial } from "./trial.ts";

test("no step gets out, and nothing beside it notices that it tries", async () => {
  await using _docker = await ensureDocker();
  const { verdicts, harm, heartbeatGapMs } = await probeTrial(PROBES, () => {});
  const failed = verdicts.filter(({ verdict }) => verdict === "BREACH" || verdict === "unclear");
  assert.deepEqual(
    failed.map(({ probe, verdict, evidence }) => `${probe.name}: ${verdict}: ${evidence}`),
    [],
  );
  assert.deepEqual(harm, []);
  assert.ok(heartbeatGapMs < HEARTBEAT_GAP_MAX_MS, `${heartbeatGapMs} ms between two heartbeats`);
});
