import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { MemoryBackend } from "../backends/memory/memory-backend.ts";
import { exits } from "../backends/memory/script.ts";
import { AgentFixture, assignmentOf } from "./testing/agent-fixture.ts";
import type { FakeRun } from "./testing/fake-run.ts";

/** Uploaded by itself, before its attempt is reported. */
const BIG = "x".repeat(100_000);
/** Long enough for everything that does not wait for the upload to be reported. */
const STALL_MS = 1_500;

/** Runs steps while no blob can be stored, then lets them be; returns what was reported, in order. */
async function reportedWhileUploadsStall(steps: string, script: (backend: MemoryBackend) => void): Promise<string[]> {
  let stall = true;
  await using fixture = await AgentFixture.open({
    interfere: (path) => (stall && path.includes("/blobs/") && !path.includes("missing") ? "drop" : undefined),
  });
  const backend = new MemoryBackend({ fallback: exits(0) });
  script(backend);
  await fixture.start(backend);
  const text = `name: flow\nretry: 0\nenvironment: { image: any }\n${steps}`;
  const run: FakeRun = fixture.server.submit(assignmentOf(text));
  await sleep(STALL_MS);
  stall = false;
  await run.finished.promise;
  return run.events.flatMap((event) => ("stepRun" in event ? [`${event.type} ${event.stepRun}`] : []));
}

function comesBefore(reported: readonly string[], first: string, second: string): void {
  const [early, late] = [reported.indexOf(first), reported.indexOf(second)];
  assert.ok(early >= 0 && late >= 0 && early < late, `${first} comes before ${second}:\n${reported.join("\n")}`);
}

test("an attempt that failed and keeps outputs is reported after what it read was committed", async () => {
  const reported = await reportedWhileUploadsStall(
    `
steps:
  make: { run: x, outputs: { big: big } }
  use: { run: x, inputs: { big: make.big }, outputs: { log: { path: log, when: always } } }
`,
    (backend) => {
      backend.script("make", exits(0, { outputs: { big: BIG } }));
      backend.script("use", exits(1, { outputs: { log: "small" } }));
    },
  );
  comesBefore(reported, "attempt.finished make", "attempt.finished use");
});

test("what follows from a failure is reported after the failure", async () => {
  const reported = await reportedWhileUploadsStall(
    `
steps:
  make: { run: x, outputs: { big: { path: big, when: always } } }
  next: { run: x, needs: [make] }
`,
    (backend) => backend.script("make", exits(1, { outputs: { big: BIG } })),
  );
  comesBefore(reported, "attempt.finished make", "step.finished next");
});

test("what was stopped because another failed is reported after the failure", async () => {
  const reported = await reportedWhileUploadsStall(
    `
fail_fast: true
steps:
  make: { run: x, outputs: { big: { path: big, when: always } } }
  long: { run: x }
`,
    (backend) => {
      backend.script("make", exits(1, { outputs: { big: BIG }, afterMs: 200 }));
      backend.script("long", exits(0, { afterMs: 60_000 }));
    },
  );
  comesBefore(reported, "attempt.finished make", "attempt.finished long");
});

test("later phases are decided and run after the steps before are committed", async () => {
  const reported = await reportedWhileUploadsStall(
    `
steps:
  make: { run: x, outputs: { big: big } }
  alarm: { run: x, phase: on_failure }
  clean: { run: x, phase: finally }
`,
    (backend) => backend.script("make", exits(0, { outputs: { big: BIG } })),
  );
  comesBefore(reported, "attempt.finished make", "step.finished alarm");
  comesBefore(reported, "attempt.finished make", "attempt.started clean");
});
