import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryBackend } from "../backends/memory/memory-backend.ts";
import { ends, exits } from "../backends/memory/script.ts";
import { AgentFixture, assignmentOf } from "./testing/agent-fixture.ts";
import type { FakeRun } from "./testing/fake-run.ts";
import { until } from "./testing/until.ts";

function pipeline(retry: string, steps: string): string {
  return `name: retried\nenvironment: { image: any }\nretry: ${retry}\nsteps: ${steps}\n`;
}

const ONE_STEP = `{ a: { run: "true", outputs: { o: { path: o, when: always } } } }`;

/** Attempt, state, and whether it is the last, of every end that was reported. */
function endsOf(run: FakeRun, stepRun: string) {
  return run.ends(stepRun).map(({ attempt, state, stepState }) => [attempt, state, stepState]);
}

test("a step that fails is tried again, and only the last attempt's outputs become visible", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend();
  backend.script("a", exits(3, { outputs: { o: "of the first" } }), exits(0, { outputs: { o: "of the second" } }));
  await fixture.start(backend);
  const run = fixture.server.submit(assignmentOf(pipeline("{ delay: 0s }", ONE_STEP)));
  assert.equal(await run.finished.promise, "succeeded");
  assert.deepEqual(endsOf(run, "a"), [
    [1, "failed", null],
    [2, "succeeded", "succeeded"],
  ]);
  assert.deepEqual(
    run.ends("a").map(({ outputs }) => outputs.length),
    [0, 1],
  );
  assert.deepEqual(run.ends("a")[0]?.retry, { delayMs: 0, memoryBytes: null });
  assert.deepEqual(fixture.server.violations, []);
});

test("with its retries used up the step run fails as its last attempt did, and keeps what is kept in any case", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend();
  backend.script("a", exits(3), exits(4, { outputs: { o: "last words" } }));
  await fixture.start(backend);
  const run = fixture.server.submit(assignmentOf(pipeline("{ max: 1, delay: 0s }", ONE_STEP)));
  assert.equal(await run.finished.promise, "failed");
  assert.deepEqual(endsOf(run, "a"), [
    [1, "failed", null],
    [2, "failed", "failed"],
  ]);
  assert.equal(run.ends("a")[1]?.outputs.length, 1);
  assert.equal(run.ends("a")[1]?.fault?.blame, "step");
});

test("after running out of memory the next attempt gets twice as much, and says so", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend();
  const limits: (number | null)[] = [];
  backend.script("a", (step) => {
    limits.push(step.spec.limits.memoryBytes);
    return step.spec.limits.memoryBytes === 400e6 ? { exit: 0 } : { oom: true };
  });
  await fixture.start(backend);
  const steps = `{ a: { run: "true", resources: { memory: 100MB } } }`;
  const run = fixture.server.submit(assignmentOf(pipeline("{ delay: 0s }", steps)));
  assert.equal(await run.finished.promise, "succeeded");
  assert.deepEqual(limits, [100e6, 200e6, 400e6]);
  assert.deepEqual(
    run.ends("a").map(({ retry }) => retry?.memoryBytes),
    [200e6, 400e6, undefined],
  );
});

test("a business error is final, by exit code or by what the step wrote before it was killed", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend();
  const said = JSON.stringify({ type: "business", message: "no rows" });
  backend.script("a", exits(65));
  backend.script("b", (step) => {
    step.write("../error.json", said);
    return { signal: "SIGKILL" };
  });
  await fixture.start(backend);
  const run = fixture.server.submit(
    assignmentOf(pipeline("{ delay: 0s }", `{ a: { run: "true" }, b: { run: "true" } }`)),
  );
  assert.equal(await run.finished.promise, "failed");
  for (const key of ["a", "b"]) {
    assert.deepEqual(endsOf(run, key), [[1, "failed", "failed"]]);
    assert.deepEqual([run.ends(key)[0]?.fault?.code, run.ends(key)[0]?.fault?.blame], ["business", "data"]);
  }
});

test("while a step waits for its next attempt, others use its slot", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend({ fallback: exits(0) });
  backend.script("a", exits(1), exits(0));
  await fixture.start(backend, { settings: { stepsAtOnce: 1 } });
  const steps = `{ a: { run: "true" }, b: { run: "true" }, c: { run: "true", needs: [b] } }`;
  const run = fixture.server.submit(assignmentOf(pipeline("{ delay: 1s, backoff: fixed }", steps)));
  assert.equal(await run.finished.promise, "succeeded");
  const started = run.events.flatMap((event) => (event.type === "attempt.started" ? [event.stepRun] : []));
  assert.deepEqual(started, ["a", "b", "c", "a"]);
});

test("a cancel ends the pause, and no further attempt starts", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend();
  backend.script("a", exits(1));
  await fixture.start(backend);
  const run = fixture.server.submit(assignmentOf(pipeline("{ delay: 1h, backoff: fixed }", ONE_STEP)));
  await until("the first attempt failed", () => run.ends("a").length === 1);
  fixture.server.cancel(run);
  assert.equal(await run.finished.promise, "cancelled");
  assert.deepEqual(endsOf(run, "a"), [[1, "failed", null]]);
  assert.ok(run.events.some((event) => event.type === "step.finished" && event.state === "cancelled"));
});

test("an agent that is started again in the pause keeps it, and the count of attempts", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend();
  backend.script("a", exits(1), exits(1), exits(1));
  const agent = await fixture.start(backend);
  const steps = `{ a: { run: "true" } }`;
  const run = fixture.server.submit(assignmentOf(pipeline("{ max: 2, delay: 1500ms, backoff: fixed }", steps)));
  await until("the first attempt failed", () => run.ends("a").length === 1);
  const failedAt = performance.now();
  await agent.stop();
  await fixture.start(backend);
  await until("the second attempt began", () => backend.callsOf("submit", "a") === 2);
  const waitedMs = performance.now() - failedAt;
  assert.ok(waitedMs > 1000, `it began after ${waitedMs} ms`);
  assert.equal(await run.finished.promise, "failed");
  assert.deepEqual(
    endsOf(run, "a").map(([, , stepState]) => stepState),
    [null, null, "failed"],
  );
});

test("what was tried under an earlier lease counts", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend();
  backend.script("a", exits(1));
  await fixture.start(backend);
  const prior = [
    {
      stepRun: "a",
      state: "pending",
      attempts: 3,
      faults: { own: 2, oom: 0, infrastructure: 1 },
      byCondition: false,
      items: null,
      outputs: {},
    },
  ] as const;
  const text = pipeline("{ max: 3, delay: 0s }", `{ a: { run: "true" } }`);
  const run = fixture.server.submit(assignmentOf(text, { prior: [...prior] }));
  assert.equal(await run.finished.promise, "failed");
  assert.deepEqual(endsOf(run, "a"), [
    [4, "failed", null],
    [5, "failed", "failed"],
  ]);
});

test("what is neither the step's nor the platform's is not tried again", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend();
  backend.script("a", ends({ exit: 0 }));
  await fixture.start(backend);
  const steps = `{ a: { run: "true", outputs: { o: { path: o } } } }`;
  const run = fixture.server.submit(assignmentOf(pipeline("{ delay: 0s }", steps)));
  assert.equal(await run.finished.promise, "failed");
  assert.deepEqual(endsOf(run, "a"), [[1, "failed", "failed"]]);
  assert.equal(run.ends("a")[0]?.fault?.code, "output-missing");
});

test("a step whose budget for the platform is used up by hand-overs is not started again", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend({ fallback: exits(0) });
  await fixture.start(backend);
  const run = fixture.server.submit(
    assignmentOf(pipeline("{ max: 0, infrastructure: 1 }", "{ a: { run: x } }"), {
      prior: [
        {
          stepRun: "a",
          state: "pending",
          attempts: 2,
          faults: { own: 0, oom: 0, infrastructure: 2 },
          byCondition: false,
          items: null,
          outputs: {},
        },
      ],
    }),
  );
  const state = await run.finished.promise;
  assert.equal(
    run.events.some(({ type }) => type === "attempt.started"),
    false,
    `it ran a third time: ${state}`,
  );
});
