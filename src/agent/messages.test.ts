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

/** Says ten metrics at once, and ten more when it is let go on. */
const PIPELINE = `
name: saying
params: { gate: { type: string, required: true } }
environment: { image: none }
steps:
  train:
    run: |
      say() { echo "$1" >> "$BERTH_MESSAGES"; }
      i=0
      while [ $i -lt 20 ]; do
        say '{"type":"metric","name":"loss","value":'$i'}'
        say '{"type":"progress","done":'$i',"total":20,"message":"epoch '$i'"}'
        if [ $i -eq 9 ]; then while [ ! -e "\${{ params.gate }}" ]; do sleep 0.02; done; fi
        i=$((i+1))
      done
      echo model > "$BERTH_OUT/m"
      say '{"type":"output","name":"model","format":"onnx","contentType":"application/x-onnx","tags":{"team":"ml"}}'
      say 'nonsense'
    outputs: { model: { path: m } }
`;

const VALUES = Array.from({ length: 20 }, (_, value) => value);

test("an agent that is killed while a step speaks loses no metric and tells none twice", {
  timeout: 60_000,
}, async (t) => {
  await using fixture = await AgentFixture.open();
  const scratch = mkdtempSync(join(tmpdir(), "berth-gate-"));
  t.after(() => rmSync(scratch, { recursive: true, force: true }));
  const gate = join(scratch, "gate");
  const run = fixture.server.submit(assignmentOf(PIPELINE, { params: { gate } }));
  // The answers to some reports are lost, so that they are sent again.
  let reports = 0;
  fixture.server.interfere = (path) => (path.endsWith("/messages") && ++reports % 3 === 1 ? "lose-answer" : undefined);

  const program = join(import.meta.dirname, "testing/crashing-agent.ts");
  const child = spawn(process.execPath, [program, fixture.home, "after", "never", "1"], { stdio: "inherit" });
  t.after(() => child.kill("SIGKILL"));
  await until("the first half was reported", () => run.metrics.get("train/1")?.length === 10);
  assert.equal(run.progress.at(-1)?.done, 9);
  child.kill("SIGKILL");
  await once(child, "exit");

  writeFileSync(gate, "");
  await fixture.start(processBackend());
  assert.equal(await run.finished.promise, "succeeded");
  assert.deepEqual(
    run.metrics.get("train/1")!.map(({ value }) => value),
    VALUES,
  );
  const last = run.progress.at(-1)!;
  assert.deepEqual([last.done, last.total, last.message], [19, 20, "epoch 19"]);
  const [end] = run.ends("train");
  const [{ content, ...notes }] = end!.outputs as [NonNullable<typeof end>["outputs"][number]];
  assert.equal(content.contentType, "application/x-onnx");
  assert.deepEqual([notes.format, notes.tags], ["onnx", { team: "ml" }]);
  assert.deepEqual(end!.warnings, ["Line 42 of the step's messages: it is not JSON. It was ignored."]);
  assert.deepEqual(fixture.server.violations, []);
});

test("metrics of a step that fails are told before its run ends, attempt by attempt", { timeout: 60_000 }, async () => {
  await using fixture = await AgentFixture.open();
  const run = fixture.server.submit(
    assignmentOf(`
name: failing
environment: { image: none }
steps:
  train:
    run: |
      echo '{"type":"metric","name":"attempt","value":'$BERTH_ATTEMPT'}' >> "$BERTH_MESSAGES"
      exit 1
    retry: { max: 1, delay: 0s }
`),
  );
  await fixture.start(processBackend());
  assert.equal(await run.finished.promise, "failed");
  assert.deepEqual(
    [1, 2].map((attempt) => run.metrics.get(`train/${attempt}`)!.map(({ value }) => value)),
    [[1], [2]],
  );
  assert.deepEqual(fixture.server.violations, []);
});
