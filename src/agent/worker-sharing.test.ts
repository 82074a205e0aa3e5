import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { MemoryBackend } from "../backends/memory/memory-backend.ts";
import { exits, type Script } from "../backends/memory/script.ts";
import { readReservation } from "../runtime/reservation.ts";
import { listRunFolders } from "./run-folder.ts";
import { AgentFixture, assignmentOf } from "./testing/agent-fixture.ts";
import type { FakeRun } from "./testing/fake-run.ts";
import { until } from "./testing/until.ts";

/** How the attempts of several runs share one worker: through an agent, on the memory backend. */

const GiB = 1024 ** 3;
const WORKER = { cpus: 4, memoryBytes: 8 * GiB, gpus: ["g0", "g1"], stepsAtOnce: 8 };

function pipeline(steps: string): string {
  return `name: shared\nenvironment: { image: any }\nsteps:\n${steps}`;
}

/** Notes what runs at once, and what each attempt was given. */
class Watch {
  readonly running = new Map<string, readonly string[]>();
  readonly gpusOf = new Map<string, readonly string[]>();
  readonly problems: string[] = [];
  most = 0;

  readonly script: Script = async (step) => {
    const gpus = step.spec.gpus ?? [];
    const taken = [...this.running.values()].flat();
    for (const id of gpus) if (taken.includes(id)) this.problems.push(`${id} is given to ${step.ref.stepRun} as well`);
    assert.equal(step.spec.env.BERTH_GPUS, gpus.length === 0 ? undefined : gpus.join(","));
    assert.deepEqual(readReservation(step.spec.labels)?.gpus, gpus);
    const key = `${step.ref.run} ${step.ref.stepRun}`;
    this.running.set(key, gpus);
    this.gpusOf.set(step.ref.stepRun, gpus);
    this.most = Math.max(this.most, this.running.size);
    await step.delay(5);
    this.running.delete(key);
    return { exit: 0 };
  };
}

function states(run: FakeRun): Record<string, string | null> {
  return Object.fromEntries(run.ends().map(({ stepRun, stepState }) => [stepRun, stepState]));
}

test("GPUs are each one step's alone, over all runs, and all of them are used", async () => {
  await using fixture = await AgentFixture.open();
  const watch = new Watch();
  await fixture.start(new MemoryBackend({ fallback: watch.script }), { settings: WORKER });
  const steps = `  one: { run: x, matrix: { n: [1, 2, 3, 4, 5, 6] }, resources: { gpu: 1 } }
  both: { run: x, matrix: { n: [1, 2] }, resources: { gpu: 2 } }
  none: { run: x, needs: [one] }\n`;
  const runs = [1, 2].map(() => fixture.server.submit(assignmentOf(pipeline(steps))));
  for (const run of runs) assert.equal(await run.finished.promise, "succeeded");
  assert.deepEqual(watch.problems, []);
  assert.deepEqual(new Set([...watch.gpusOf.values()].flat()), new Set(["g0", "g1"]));
  assert.deepEqual(watch.gpusOf.get("none"), []);
});

test("cores and memory are never given twice, however many steps are ready", async () => {
  await using fixture = await AgentFixture.open();
  const watch = new Watch();
  await fixture.start(new MemoryBackend({ fallback: watch.script }), { settings: WORKER });
  const run = async (resources: string) => {
    watch.most = 0;
    const steps = `  a: { run: x, matrix: { n: [1, 2, 3, 4, 5, 6, 7, 8, 9] }, resources: ${resources} }\n`;
    assert.equal(await fixture.server.submit(assignmentOf(pipeline(steps))).finished.promise, "succeeded");
    return watch.most;
  };
  assert.equal(await run("{ cpu: 2 }"), 2);
  assert.equal(await run("{ memory: 3GiB }"), 2);
  assert.equal(await run("{ cpu: 0.1 }"), 8, "stepsAtOnce is the most in any case");
  assert.equal(await run("{}"), 8, "steps that say nothing run as many at once as ever");
});

test("a step that needs no GPU does not wait behind one of its run that does, nor does a large one wait for ever", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend({ fallback: exits(0) });
  const waits: Script = (step) => step.told().then(() => ({ exit: 0 }));
  for (const n of [1, 2, 3]) backend.script(`gpu[n=${n}]`, waits);
  await fixture.start(backend, { settings: { ...WORKER, gpus: ["g0"] } });
  const run = fixture.server.submit(
    assignmentOf(
      pipeline(`  gpu: { run: x, matrix: { n: [1, 2, 3] }, resources: { gpu: 1 } }
  plain: { run: x, matrix: { n: [1, 2, 3] } }
  all: { run: x, resources: { cpu: 4 } }\n`),
    ),
  );
  const first = await backend.started("gpu[n=1]");
  await until("the plain ones are through", () => Object.keys(states(run)).length === 3);
  assert.deepEqual(Object.keys(states(run)).sort(), ["plain[n=1]", "plain[n=2]", "plain[n=3]"]);
  first.tell();
  (await backend.started("gpu[n=2]")).tell();
  (await backend.started("gpu[n=3]")).tell();
  assert.equal(await run.finished.promise, "succeeded");
});

test("memory is raised after running out of it up to what the worker has, and the step waits for all of it", async () => {
  await using fixture = await AgentFixture.open();
  const limits: (number | null)[] = [];
  const backend = new MemoryBackend({ fallback: exits(0) });
  backend.script("hungry", (step) => {
    limits.push(step.spec.limits.memoryBytes);
    return { oom: true };
  });
  await fixture.start(backend, { settings: WORKER });
  const steps = "  hungry: { run: x, resources: { memory: 3GiB }, retry: { delay: 0s, max: 9 } }\n";
  const run = fixture.server.submit(assignmentOf(pipeline(steps)));
  assert.equal(await run.finished.promise, "failed");
  assert.deepEqual(
    limits.map((bytes) => bytes! / GiB),
    [3, 6, 8],
  );
  assert.equal(run.ends("hungry").at(-1)?.fault?.code, "oom");
});

test("a step that is larger than its worker fails at once and says why, and the others run", async () => {
  await using fixture = await AgentFixture.open();
  await fixture.start(new MemoryBackend({ fallback: exits(0) }), { settings: WORKER });
  const steps = `  large: { run: x, resources: { gpu: 3 } }\n  small: { run: x, resources: { gpu: 2 } }\n`;
  const run = fixture.server.submit(assignmentOf(pipeline(steps)));
  assert.equal(await run.finished.promise, "failed");
  const ended = run.events.find((event) => event.type === "step.finished" && event.stepRun === "large");
  assert.ok(ended?.type === "step.finished");
  assert.equal(ended.fault?.code, "unschedulable");
  assert.match(ended.fault.message, /it needs 3 GPUs, and its worker has 2/);
  assert.deepEqual(states(run), { small: "succeeded" });
});

test("an agent that is started again knows what still runs, from its runs and from objects that no journal knows", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend();
  const begun: { readonly gpus: readonly string[]; readonly step: string }[] = [];
  const waits: Script = (step) => {
    begun.push({ gpus: step.spec.gpus ?? [], step: step.ref.stepRun });
    return step.told().then(() => ({ exit: 0 }));
  };
  for (const step of ["kept", "lost", "next"]) backend.script(step, waits);
  const options = { settings: WORKER, inspectIntervalMs: 20 };
  const submit = (step: string) =>
    fixture.server.submit(assignmentOf(pipeline(`  ${step}: { run: x, resources: { gpu: 1 } }\n`)));
  const agent = await fixture.start(backend, options);
  const runs = [submit("lost")];
  const orphan = await backend.started("lost");
  const folders = listRunFolders(fixture.home);
  runs.push(submit("kept"));
  const resumed = await backend.started("kept");
  await agent.stop();
  for (const folder of folders) rmSync(join(folder, "journal.jsonl"));

  // The server gives the run that was lost to it again: with the next one, two want a GPU.
  await fixture.start(backend, options);
  runs.push(submit("next"));
  await until("all are held", () => listRunFolders(fixture.home).length === 3);
  const looked = fixture.server.heartbeats.filter(({ capabilities }) => capabilities !== undefined).length;
  await until(
    "it has looked around again",
    () => fixture.server.heartbeats.filter(({ capabilities }) => capabilities !== undefined).length > looked + 1,
  );
  const [ofOrphan, ofResumed] = begun;
  assert.equal(begun.length, 2, "there is no GPU for the others");
  resumed.tell();
  await until("one has the GPU of the run that ended", () => begun.length === 3);
  assert.deepEqual(begun[2]?.gpus, ofResumed?.gpus);
  orphan.tell();
  await until("the other has the GPU of what no journal knows", () => begun.length === 4);
  assert.deepEqual(begun[3]?.gpus, ofOrphan?.gpus);
  assert.deepEqual(new Set([begun[2]?.step, begun[3]?.step]), new Set(["lost", "next"]));
  for (const attempt of backend.attempts.values()) attempt.tell();
  for (const run of runs) assert.equal(await run.finished.promise, "succeeded");
});
