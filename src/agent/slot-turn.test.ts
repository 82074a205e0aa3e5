import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryBackend } from "../backends/memory/memory-backend.ts";
import { exits, hangs, type Script } from "../backends/memory/script.ts";
import { AgentFixture, assignmentOf } from "./testing/agent-fixture.ts";
import { until } from "./testing/until.ts";

const GiB = 1024 ** 3;
const WORKER = { cpus: 4, memoryBytes: 8 * GiB, gpus: ["g0"], stepsAtOnce: 8 };

function pipeline(steps: string): string {
  return `name: shared\nenvironment: { image: any }\nsteps:\n${steps}`;
}

const waits: Script = (step) => step.told().then(() => ({ exit: 0 }));

test("a step that found no core starts when another run gives one back, although one before it waits for a GPU", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend({ fallback: exits(0) });
  for (const step of ["long", "busy"]) backend.script(step, waits);
  await fixture.start(backend, { settings: WORKER });
  const submit = (steps: string) => fixture.server.submit(assignmentOf(pipeline(steps)));
  const long = submit("  long: { run: x, resources: { gpu: 1, cpu: 1 } }\n");
  const gpu = await backend.started("long");
  const busy = submit("  busy: { run: x, resources: { cpu: 2 } }\n");
  const cores = await backend.started("busy");
  // One core is free. `wants` needs the GPU, `plain` needs two cores.
  const run = submit(
    "  wants: { run: x, resources: { gpu: 1, cpu: 1 } }\n  plain: { run: x, resources: { cpu: 2 } }\n",
  );
  await until("it was taken", () => run.events.some(({ type }) => type === "run.started"));
  await new Promise((resolve) => setTimeout(resolve, 200));
  cores.tell();
  assert.equal(await busy.finished.promise, "succeeded");
  // Three cores are free now: two for `plain`, one stays for `wants`.
  await until("plain ran", () => run.ends("plain").length === 1);
  gpu.tell();
  assert.equal(await long.finished.promise, "succeeded");
  assert.equal(await run.finished.promise, "succeeded");
});

test("a run that has ended keeps no place among those that wait for room", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend({ fallback: exits(0) });
  backend.script("long", waits);
  await fixture.start(backend, { settings: WORKER });
  const submit = (steps: string) => fixture.server.submit(assignmentOf(pipeline(steps)));
  const long = submit("  long: { run: x, resources: { gpu: 1, cpu: 1 } }\n");
  const gpu = await backend.started("long");
  const gone = submit("  wants: { run: x, resources: { gpu: 1, cpu: 3, queueTimeout: 1s } }\n");
  assert.equal(await gone.finished.promise, "failed");
  // Three cores are free, and nobody waits for them.
  const plain = submit("  plain: { run: x, resources: { cpu: 1 } }\n");
  await until("plain ran", () => plain.ends("plain").length === 1);
  gpu.tell();
  assert.equal(await long.finished.promise, "succeeded");
});

test("an agent stops although one of its runs only waits for room", { timeout: 30_000 }, async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend({ fallback: hangs() });
  backend.script("quick", exits(0, { afterMs: 300 }));
  const agent = await fixture.start(backend, { settings: { stepsAtOnce: 1 } });
  const submit = (steps: string) => fixture.server.submit(assignmentOf(pipeline(steps)));
  const waiting = submit("  quick: { run: x }\n  later: { run: x, needs: [quick] }\n");
  await backend.started("quick");
  submit("  long: { run: x }\n");
  await backend.started("long");
  await until("the first step is over", () => waiting.ends("quick").length > 0);
  await agent.stop();
});
