import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { processBackend } from "../backends/process/process-backend.ts";
import { AgentFixture, assignmentOf } from "./testing/agent-fixture.ts";
import { until } from "./testing/until.ts";

/** Works until it is let go on. */
const PIPELINE = `
name: using
params: { gate: { type: string, required: true } }
environment: { image: none }
steps:
  train: { run: 'while [ ! -e "\${{ params.gate }}" ]; do :; done' }
`;

test("what a step uses is told while it runs, and by the next process when its agent was killed", {
  timeout: 60_000,
}, async (t) => {
  await using fixture = await AgentFixture.open();
  const scratch = mkdtempSync(join(tmpdir(), "berth-gate-"));
  t.after(() => rmSync(scratch, { recursive: true, force: true }));
  const gate = join(scratch, "gate");
  const run = fixture.server.submit(assignmentOf(PIPELINE, { params: { gate } }));
  const program = join(import.meta.dirname, "testing/crashing-agent.ts");
  const child = spawn(process.execPath, [program, fixture.home, "after", "never", "1"], { stdio: "inherit" });
  t.after(() => child.kill("SIGKILL"));
  await until("the first report", () => run.usage.length > 0);
  child.kill("SIGKILL");
  await once(child, "exit");
  const before = run.usage.at(-1)!;
  assert.deepEqual([before.stepRun, before.attempt], ["train", 1]);
  assert.ok(before.series.cpuMs!.at(-1)! > 500, JSON.stringify(before));

  await fixture.start(processBackend());
  await until("a report of the next process", () => run.usage.at(-1) !== before);
  writeFileSync(gate, "");
  assert.equal(await run.finished.promise, "succeeded");
  const last = run.usage.at(-1)!.series;
  assert.ok(last.atMs[0]! > before.series.atMs.at(-1)!, "times are told since the attempt began");
  const finished = run.events.findLast((event) => event.type === "attempt.finished")!;
  assert.ok(finished.usage.cpuMs! >= last.cpuMs!.at(-1)! - 50, "the end counts at least as much as the last look");
  assert.ok(finished.usage.pidsPeak! >= 1 && finished.usage.cpuUserMs! > 0, JSON.stringify(finished.usage));
});
