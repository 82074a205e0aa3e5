import assert from "node:assert/strict";
import { test } from "node:test";
import {
  inlineOutput,
  runServer,
  showSteps,
  started,
  submit,
  succeeded,
  takeRun,
} from "../../../test/setup/run-fixture.ts";
import { type TestServer, testWorker } from "../../../test/setup/server.ts";
import { type RunGraphView, stateOfStep } from "../../protocol/run-graph.ts";

async function graphOf(server: TestServer, run: string): Promise<{ graph: RunGraphView; bytes: number }> {
  const answer = await server.call("viewer", { url: `/runs/${run}/graph` });
  assert.equal(answer.statusCode, 200, answer.body);
  return { graph: answer.json(), bytes: answer.rawPayload.length };
}

const MIXED = `
name: mixed
environment: { image: busybox }
steps:
  make: { run: "true", outputs: { rows: { path: rows.txt } } }
  each: { run: "true", batch: { over: make.rows }, needs: [make] }
  try: { command: ["true"], matrix: { model: [knn, forest] }, allow_failure: true }
  report: { run: "true", when: 'steps.each.state == "failed"' }
  clean: { run: "true", phase: finally }
`;

test("a run is a graph of its steps, in which combinations and items are counted by their states", async (t) => {
  const server = await runServer(t);
  const { id } = await submit(server, { pipeline: MIXED });
  const before = (await graphOf(server, id)).graph;
  assert.deepEqual(
    before.steps.map(({ name, kind, action, needs, phase, mayFail }) => ({
      name,
      kind,
      action,
      needs,
      phase,
      mayFail,
    })),
    [
      { name: "make", kind: "step", action: "shell", needs: [], phase: undefined, mayFail: undefined },
      { name: "each", kind: "batch", action: "shell", needs: [0], phase: undefined, mayFail: undefined },
      { name: "try", kind: "matrix", action: "command", needs: [], phase: undefined, mayFail: true },
      { name: "report", kind: "step", action: "shell", needs: [1], phase: undefined, mayFail: undefined },
      { name: "clean", kind: "step", action: "shell", needs: [], phase: "finally", mayFail: undefined },
    ],
  );
  assert.deepEqual(
    before.steps.map(({ state, counts }) => [state, counts]),
    [
      ["pending", undefined],
      ["pending", { pending: 1 }],
      ["pending", { pending: 2 }],
      ["pending", undefined],
      ["pending", undefined],
    ],
  );
  const run = await takeRun(await testWorker(server));
  const answer = await run.report(
    { ...started("make"), waited: { queueMs: 2_000, imageMs: 0 } } as ReturnType<typeof started>,
    succeeded("make", [inlineOutput("rows", "1\n2\n3\n")]),
    { type: "step.expanded", stepRun: "each", items: 3 },
    started("each[0]"),
    succeeded("each[0]"),
    started("each[1]"),
    started("try[model=knn]"),
    succeeded("try[model=knn]"),
  );
  assert.equal(answer.statusCode, 200, answer.body);
  const [queue] = (await showSteps(server, id)).get("make")!.attempts[0]!.timeline;
  assert.deepEqual([queue?.phase, Date.parse(queue!.to!) - Date.parse(queue!.from)], ["queue", 2_000]);
  const [make, each, tried] = (await graphOf(server, id)).graph.steps;
  assert.deepEqual([make!.state, each!.state, tried!.state], ["succeeded", "running", "running"]);
  assert.deepEqual(each!.counts, { succeeded: 1, running: 1, pending: 1 });
  assert.deepEqual(tried!.counts, { succeeded: 1, pending: 1 });
  assert.ok(make!.finishedAt && each!.startedAt && each!.finishedAt === undefined);
});

test("the state of a step is that of what is under way, then the worst of its ends", () => {
  assert.equal(stateOfStep(new Set(["succeeded", "pending"])), "running");
  assert.equal(stateOfStep(new Set(["pending"])), "pending");
  assert.equal(stateOfStep(new Set(["failed", "running"])), "running");
  assert.equal(stateOfStep(new Set(["succeeded", "failed", "skipped", "cancelled"])), "failed");
  assert.equal(stateOfStep(new Set(["succeeded", "skipped"])), "skipped");
});

test("the graph of 2,000 steps, each of which needs two others, stays below 400 KB", async (t) => {
  const server = await runServer(t);
  const steps = Array.from({ length: 2_000 }, (_, n) => {
    const needs = n < 2 ? [] : [`transform_${n - 1}`, `transform_${Math.floor(n / 2)}`];
    return `  transform_${n}: { run: "echo ${"x".repeat(200)}", needs: [${[...new Set(needs)].join(", ")}] }`;
  });
  const { id } = await submit(server, {
    pipeline: `name: wide\nenvironment: { image: busybox }\nsteps:\n${steps.join("\n")}\n`,
  });
  const { graph, bytes } = await graphOf(server, id);
  assert.deepEqual([graph.steps.length, graph.steps[1_999]!.needs], [2_000, [1_998, 999]]);
  assert.ok(bytes < 400_000, `${bytes} bytes`);
});
