import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { processBackend } from "../backends/process/process-backend.ts";
import { attemptsFolder, runsFolder } from "./run-folder.ts";
import { AgentFixture, assignmentOf } from "./testing/agent-fixture.ts";
import { until } from "./testing/until.ts";

/** Each step writes one line to a ledger outside of Berth: the judge of how often user code ran. */
const PIPELINE = `
name: crashed
params: { ledger: { type: string, required: true }, pause: { type: string, required: true } }
environment: { image: none }
steps:
  first:
    run: |
      echo "first" >> "\${{ params.ledger }}"
      i=0; while [ $i -lt 40 ]; do echo "line $i of first"; i=$((i+1)); sleep \${{ params.pause }}; done
      head -c 40000 /dev/zero > "$BERTH_OUT/large"
    outputs: { large: { path: large } }
  second:
    run: |
      echo "second" >> "\${{ params.ledger }}"
      wc -c < "$BERTH_IN/large"
      echo small > "$BERTH_OUT/small"
    inputs: { large: first.large }
    outputs: { small: { path: small } }
  third:
    run: |
      echo "third" >> "\${{ params.ledger }}"
      cat "$BERTH_IN/small"
      exit 7
    retry: 0
    inputs: { small: second.small }
`;

const LINES = Array.from({ length: 40 }, (_, index) => `line ${index} of first\n`).join("");

const POINTS = [
  ["after", "assigned", 1],
  ["after", "run.started", 1],
  ["before", "intent", 1],
  ["after", "intent", 1],
  ["after", "prepared", 1],
  ["after", "logs", 1],
  ["before", "result", 1],
  ["after", "result", 1],
  ["before", "attempt.finished", 1],
  ["after", "attempt.finished", 1],
  ["after", "intent", 2],
  ["before", "result", 2],
  ["before", "released", 1],
  ["after", "released", 1],
  ["after", "attempt.finished", 3],
  ["before", "run.finished", 1],
  ["after", "run.finished", 1],
] as const;

for (const [when, record, count] of POINTS) {
  const title = `killed right ${when} it journals "${record}" (${count}), an agent's work is done once, with every log byte`;
  test(title, { timeout: 60_000 }, async (t) => {
    await using fixture = await AgentFixture.open();
    const scratch = mkdtempSync(join(tmpdir(), "berth-ledger-"));
    t.after(() => rmSync(scratch, { recursive: true, force: true }));
    const ledger = join(scratch, "ledger");
    // Offsets are journaled every two seconds.
    const pause = record === "logs" ? "0.07" : "0.01";
    const run = fixture.server.submit(assignmentOf(PIPELINE, { params: { ledger, pause } }));

    const program = join(import.meta.dirname, "testing/crashing-agent.ts");
    const child = spawn(process.execPath, [program, fixture.home, when, record, String(count)], { stdio: "inherit" });
    t.after(() => child.kill("SIGKILL"));
    const [, signal] = await once(child, "exit");
    assert.equal(signal, "SIGKILL", "the agent was to be killed");

    await fixture.start(processBackend());
    if (run.ended === null) await run.finished.promise;
    assert.equal(run.ended, "failed");
    assert.equal(readFileSync(ledger, "utf8"), "first\nsecond\nthird\n");
    assert.deepEqual([run.log("first"), run.log("second"), run.log("third")], [LINES, "40000\n", "small\n"]);
    assert.equal(run.ends("third")[0]?.exitCode, 7);
    assert.equal(run.ends().length, 3);
    assert.deepEqual(fixture.server.violations, []);
    await until(
      "nothing is left",
      () =>
        filesIn(runsFolder(fixture.home)) +
          filesIn(attemptsFolder(fixture.home)) +
          filesIn(join(fixture.home, "backends/process")) ===
        0,
    );
  });
}

function filesIn(folder: string): number {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).length;
  } catch (error) {
    // Not there at all, or something below is just being removed.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return existsSync(folder) ? 1 : 0;
    throw error;
  }
}

const FAIL_FAST = `
name: crashed
fail_fast: true
retry: 0
params: { ledger: { type: string, required: true } }
environment: { image: none }
steps:
  slow: { run: 'sleep 6; echo slow >> "\${{ params.ledger }}"' }
  pausing:
    run: 'echo pausing >> "\${{ params.ledger }}"; exit 1'
    retry: { max: 1, delay: 3s, backoff: fixed }
  bad: { run: 'sleep 1; exit 1' }
`;

test("fail_fast holds when the agent is killed right after it noted the failure", { timeout: 60_000 }, async (t) => {
  await using fixture = await AgentFixture.open();
  const scratch = mkdtempSync(join(tmpdir(), "berth-ledger-"));
  t.after(() => rmSync(scratch, { recursive: true, force: true }));
  const ledger = join(scratch, "ledger");
  writeFileSync(ledger, "");
  const run = fixture.server.submit(assignmentOf(FAIL_FAST, { params: { ledger } }));
  const program = join(import.meta.dirname, "testing/crashing-agent.ts");
  // The first attempt that ends is that of "pausing", the second that of "bad".
  const child = spawn(process.execPath, [program, fixture.home, "after", "result", "2"], { stdio: "inherit" });
  t.after(() => child.kill("SIGKILL"));
  await once(child, "exit");
  await fixture.start(processBackend(), { settings: { stepsAtOnce: 4 } });
  assert.equal(await run.finished.promise, "failed");
  assert.equal(readFileSync(ledger, "utf8"), "pausing\n", "slow ran to its end, or pausing was tried again");
  assert.equal(run.ends("slow")[0]?.fault?.code, "sibling-failed");
});
