import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryBackend } from "../backends/memory/memory-backend.ts";
import { exits, hangs, waitsThen } from "../backends/memory/script.ts";
import type { Params } from "../protocol/plan.ts";
import { AgentFixture, assignmentOf } from "./testing/agent-fixture.ts";
import type { FakeRun } from "./testing/fake-run.ts";
import { until } from "./testing/until.ts";

/** How each step run ended, with the code of its fault where it did not run or did not succeed. */
function ends(run: FakeRun): Record<string, string> {
  const found: Record<string, string> = {};
  for (const event of run.events) {
    if (event.type !== "attempt.finished" && event.type !== "step.finished") continue;
    const state = event.type === "attempt.finished" ? event.stepState : event.state;
    if (state !== null) found[event.stepRun] = event.fault === null ? state : `${state} ${event.fault.code}`;
  }
  return found;
}

function pipeline(steps: string, head = ""): string {
  return `name: flow\nretry: 0\nenvironment: { image: any }\n${head}\nsteps:\n${steps}\n`;
}

async function play(
  backend: MemoryBackend,
  text: string,
  params: Params = {},
): Promise<{ run: FakeRun; state: string }> {
  await using fixture = await AgentFixture.open();
  await fixture.start(backend, { settings: { stepsAtOnce: 4 } });
  const run = fixture.server.submit(assignmentOf(text, { params }));
  const state = await run.finished.promise;
  assert.deepEqual(fixture.server.violations, []);
  await until("nothing is left", () => backend.attempts.size === 0);
  return { run, state };
}

test("conditions decide by parameters, states and what small outputs hold", async () => {
  const backend = new MemoryBackend({ fallback: exits(0) });
  backend.script("score", exits(0, { outputs: { "m.json": '{"accuracy": 0.93}', "note.txt": "good\n" } }));
  const { run, state } = await play(
    backend,
    pipeline(
      `
  score: { run: x, outputs: { m: m.json, note: note.txt } }
  publish: { run: x, when: steps.score.outputs.m.accuracy > 0.9 && steps.score.outputs.note == "good" }
  again: { run: x, when: steps.score.outputs.m.accuracy <= 0.9 }
  after: { run: x, needs: [again] }
  dry: { run: x, when: params.dry }
  third: { run: x, matrix: { n: [1, 2, 3] }, when: matrix.n == params.n + 1 }
  never: { run: x, when: false }`,
      "params: { dry: false, n: 2 }",
    ),
    { dry: false, n: 2 },
  );
  assert.equal(state, "succeeded");
  assert.deepEqual(ends(run), {
    score: "succeeded",
    publish: "succeeded",
    again: "skipped condition",
    after: "skipped condition",
    dry: "skipped condition",
    "third[n=1]": "skipped condition",
    "third[n=2]": "skipped condition",
    "third[n=3]": "succeeded",
    never: "skipped condition",
  });
});

test("a condition that cannot be decided fails its step and says why", async () => {
  const backend = new MemoryBackend({ fallback: exits(0) });
  backend.script("score", exits(0, { outputs: { "m.json": "{}", "bad.json": "no" } }));
  const { run, state } = await play(
    backend,
    pipeline(`
  score: { run: x, outputs: { m: m.json, bad: bad.json } }
  a: { run: x, when: steps.score.outputs.m.accuracy > 0.9 }
  b: { run: x, when: steps.score.outputs.bad.x == 1 }
  c: { run: x, when: has(steps.score.outputs.m.accuracy) }`),
  );
  assert.equal(state, "failed");
  assert.deepEqual(ends(run), {
    score: "succeeded",
    a: "failed condition-invalid",
    b: "failed condition-invalid",
    c: "skipped condition",
  });
  const end = run.events.at(-1);
  assert.ok(end?.type === "run.finished");
  assert.match(end.fault!.message, /^a: The condition of the step cannot be decided: No such key: accuracy\./);
});

test("a condition on a state runs a step after a failure", async () => {
  const backend = new MemoryBackend({ fallback: exits(0) });
  backend.script("a", exits(1));
  const { run, state } = await play(
    backend,
    pipeline(`
  a: { run: x }
  mend: { run: x, when: steps.a.state == "failed" }
  next: { run: x, needs: [a] }`),
  );
  assert.equal(state, "failed");
  assert.deepEqual(ends(run), {
    a: "failed exit-nonzero",
    mend: "succeeded",
    next: "skipped upstream-failed",
  });
});

test("a run succeeds without a step that may fail", async () => {
  const backend = new MemoryBackend({ fallback: exits(0) });
  backend.script("lint", exits(1));
  const { run, state } = await play(
    backend,
    pipeline(`
  lint: { run: x, allow_failure: true, outputs: { o: o } }
  next: { run: x, needs: [lint] }
  reads: { run: x, inputs: { o: lint.o } }`),
  );
  assert.equal(state, "succeeded");
  assert.deepEqual(ends(run), { lint: "failed exit-nonzero", next: "succeeded", reads: "skipped condition" });
});

test("with fail_fast a failure stops the siblings that run and skips those that wait, and says whose it was", async () => {
  const backend = new MemoryBackend({ fallback: exits(0) });
  backend.script("a[n=1]", hangs());
  backend.script("a[n=2]", exits(1, { afterMs: 200 }));
  const { run, state } = await play(
    backend,
    pipeline(`
  a: { run: x, matrix: { n: [1, 2] }, fail_fast: true }
  b: { run: x, needs: [a] }`),
  );
  assert.equal(state, "failed");
  assert.deepEqual(ends(run), {
    "a[n=1]": "cancelled sibling-failed",
    "a[n=2]": "failed exit-nonzero",
    b: "skipped upstream-failed",
  });
});

test("with fail_fast of the pipeline a failure ends every other step, also one that waits for its next attempt", async () => {
  const backend = new MemoryBackend({ fallback: exits(0) });
  backend.script("slow", hangs());
  backend.script("pausing", exits(1));
  backend.script("bad", exits(1, { afterMs: 400 }));
  const { run, state } = await play(
    backend,
    pipeline(
      `
  slow: { run: x }
  pausing: { run: x, retry: { max: 3, delay: 1h, backoff: fixed } }
  bad: { run: x }
  later: { run: x, needs: [slow] }`,
      "fail_fast: true",
    ),
  );
  assert.equal(state, "failed");
  assert.deepEqual(ends(run), {
    slow: "cancelled sibling-failed",
    pausing: "cancelled sibling-failed",
    bad: "failed exit-nonzero",
    later: "skipped upstream-failed",
  });
});

const LATE = `
  a: { run: x }
  alarm: { run: x, phase: on_failure }
  clean: { run: x, phase: finally }
  last: { run: x, phase: finally, needs: [clean], when: run.state == "failed" }`;

test("on_failure steps run after a failure, finally steps in any case, and both know how the run ended", async () => {
  const failing = new MemoryBackend({ fallback: exits(0) });
  failing.script("a", exits(3));
  failing.script("alarm", (step) => {
    step.print(`${step.spec.env.BERTH_RUN_STATE} ${JSON.parse(step.spec.env.BERTH_RUN_FAULT!).code}\n`);
    return { exit: 0 };
  });
  const failed = await play(failing, pipeline(LATE));
  assert.equal(failed.state, "failed");
  assert.deepEqual(ends(failed.run), {
    a: "failed exit-nonzero",
    alarm: "succeeded",
    clean: "succeeded",
    last: "succeeded",
  });
  assert.equal(failed.run.log("alarm"), "failed exit-nonzero\n");
  const started = failed.run.events.flatMap((event) => (event.type === "attempt.started" ? [event.stepRun] : []));
  assert.deepEqual(started, ["a", "alarm", "clean", "last"]);

  const fine = await play(new MemoryBackend({ fallback: exits(0) }), pipeline(LATE));
  assert.equal(fine.state, "succeeded");
  assert.deepEqual(ends(fine.run), {
    a: "succeeded",
    alarm: "skipped condition",
    clean: "succeeded",
    last: "skipped condition",
  });
});

test("a finally step that fails fails the run", async () => {
  const backend = new MemoryBackend({ fallback: exits(0) });
  backend.script("clean", exits(4));
  const { run, state } = await play(backend, pipeline(LATE));
  assert.equal(state, "failed");
  const end = run.events.at(-1);
  assert.ok(end?.type === "run.finished" && end.fault!.message.startsWith("clean: "));
});

test("after a cancel finally steps still run, on_failure steps do not, and the run says who cancelled it", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend({ fallback: exits(0) });
  backend.script("a", hangs());
  await fixture.start(backend);
  const run = fixture.server.submit(assignmentOf(pipeline(LATE)));
  await backend.started("a");
  fixture.server.cancel(run, { by: "ada", reason: "enough" });
  assert.equal(await run.finished.promise, "cancelled");
  assert.deepEqual(ends(run), {
    a: "cancelled cancelled",
    alarm: "skipped condition",
    clean: "succeeded",
    last: "skipped condition",
  });
  const end = run.events.at(-1);
  assert.ok(end?.type === "run.finished");
  assert.equal(end.fault?.message, "The run was cancelled by ada: enough.");
  assert.equal(run.ends("a")[0]?.fault?.message, "The run was cancelled by ada: enough.");
});

test("an agent that is started again in a later phase goes on there, and does nothing twice", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend({ fallback: exits(0) });
  backend.script("a", exits(3));
  backend.script("alarm", waitsThen(exits(0)));
  const agent = await fixture.start(backend);
  const run = fixture.server.submit(assignmentOf(pipeline(LATE)));
  const alarm = await backend.started("alarm");
  await agent.stop();
  await fixture.start(backend);
  alarm.tell();
  assert.equal(await run.finished.promise, "failed");
  assert.deepEqual(ends(run), {
    a: "failed exit-nonzero",
    alarm: "succeeded",
    clean: "succeeded",
    last: "succeeded",
  });
  for (const key of ["a", "alarm", "clean", "last"]) assert.equal(run.ends(key).length, 1, key);
  const end = run.events.at(-1);
  assert.ok(end?.type === "run.finished" && end.fault!.message.startsWith("a: "));
});

test("combinations of a batch step over a gathered output do not share their scratch folder", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend({ fallback: exits(0) });
  for (const k of [1, 2, 3, 4])
    backend.script(`make[k=${k}]`, exits(0, { outputs: { "o.txt": `line ${k}\n`.repeat(3) } }));
  await fixture.start(backend, { settings: { stepsAtOnce: 4 } });
  const run = fixture.server.submit(
    assignmentOf(
      pipeline(`
  make: { run: x, matrix: { k: [1, 2, 3, 4] }, outputs: { o: o.txt } }
  score: { run: x, matrix: { n: [1, 2, 3, 4, 5, 6] }, batch: { over: make.o, format: lines, size: 6 } }`),
    ),
  );
  const state = await run.finished.promise;
  const bad = run.events.filter((event) => event.type === "step.finished" && event.state !== "succeeded");
  assert.deepEqual([state, bad], ["succeeded", []]);
});
