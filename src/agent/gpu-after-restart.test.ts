import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryBackend } from "../backends/memory/memory-backend.ts";
import type { Script } from "../backends/memory/script.ts";
import { AgentFixture, assignmentOf } from "./testing/agent-fixture.ts";
import { until } from "./testing/until.ts";

const GiB = 1024 ** 3;
const WORKER = { cpus: 4, memoryBytes: 8 * GiB, gpus: ["g0"], stepsAtOnce: 8 };

function pipeline(steps: string): string {
  return `name: shared\nenvironment: { image: any }\nsteps:\n${steps}`;
}

test("a GPU that was promised to an attempt which had not begun to run is not given to another run after a restart", async () => {
  await using fixture = await AgentFixture.open();
  const backend = new MemoryBackend();
  const begun: string[] = [];
  const waits: Script = (step) => {
    if ((step.spec.gpus ?? []).length > 0) begun.push(step.ref.stepRun);
    return step.told().then(() => ({ exit: 0 }));
  };
  for (const step of ["before", "after", "promised"]) backend.script(step, waits);
  const agent = await fixture.start(backend, { settings: WORKER });
  const submit = (steps: string) => fixture.server.submit(assignmentOf(pipeline(steps)));
  const first = submit("  before: { run: x }\n  after: { run: x, needs: [before], resources: { gpu: 1 } }\n");
  const before = await backend.started("before");
  // The journal says that it begins with the GPU; the engine is away, or its inputs are still on their way.
  backend.script("main", () => {
    backend.becomeUnavailable({ calls: 1_000_000, methods: ["submit"] });
    return { exit: 0 };
  });
  const second = submit(
    "  main: { run: x }\n  promised: { run: x, phase: finally, resources: { gpu: 1 } }\n  sorry: { run: x, phase: on_failure }\n",
  );
  await until("it is about to start", () =>
    backend.calls.some(({ method, about }) => method === "submit" && about === "promised"),
  );
  before.tell();
  await until("the other wants the GPU", () => first.ends("before").length === 1);
  await agent.stop();
  backend.becomeAvailable();
  await fixture.start(backend, { settings: WORKER });
  await until("one has it", () => begun.length > 0);
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.equal(begun.length, 1, `the one GPU is given to ${begun.join(" and ")}`);
  for (let index = 0; index < 2; index++) {
    await until("the next has it", () => begun.length > index);
    for (const attempt of backend.attempts.values()) attempt.tell();
  }
  assert.deepEqual([await first.finished.promise, await second.finished.promise], ["succeeded", "succeeded"]);
});
