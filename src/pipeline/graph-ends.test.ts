import assert from "node:assert/strict";
import { test } from "node:test";
import { canChange, STEP_TRANSITIONS } from "../protocol/states.ts";
import { compilePipeline } from "./compile.ts";
import { RunGraph } from "./graph.ts";

function graphOf(text: string): RunGraph {
  const compiled = compilePipeline(text);
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.problems));
  return new RunGraph(compiled.plan);
}

test("a batch that was split may end as its items do, also skipped", () => {
  const graph = graphOf(`
name: p
fail_fast: true
environment: { image: any }
steps:
  list: { run: x, outputs: { o: o.txt } }
  score: { run: x, batch: { over: list.o } }
  bad: { run: x, needs: [list] }
`);
  graph.ready();
  graph.settle("list", "succeeded");
  graph.ready();
  graph.expand("score", 3);
  // Its items wait for room on the worker, which "bad" has.
  const followed = graph.settle("bad", "failed");
  const batch = followed.find(({ stepRun }) => stepRun.key === "score")!;
  assert.ok(canChange(STEP_TRANSITIONS, "running", batch.state), `running -> ${batch.state}`);
});

test("the fate of a dependent does not depend on which combination ended first", () => {
  const text = `
name: p
environment: { image: any }
steps:
  lint: { run: x, matrix: { n: [1, 2] }, allow_failure: true, when: matrix.n == 2 }
  next: { run: x, needs: [lint] }
`;
  const fates = [0, 1].map((first) => {
    const graph = graphOf(text);
    graph.ready();
    const ends = [() => graph.settle("lint[n=1]", "skipped", true), () => graph.settle("lint[n=2]", "failed")];
    ends[first]!();
    ends[1 - first]!();
    return graph.stateOf("next");
  });
  assert.equal(fates[0], fates[1]);
});

test("a run of which something was skipped after a failure cannot succeed, whatever was made again later", () => {
  const compiled = compilePipeline(
    "name: p\nenvironment: { image: any }\nsteps: { make: { run: x }, next: { run: x, needs: [make] } }\n",
  );
  assert.ok(compiled.ok);
  const prior = { stepRun: "next", items: null, state: "skipped", byCondition: false } as const;
  const graph = new RunGraph(compiled.plan, [prior]);
  graph.ready();
  graph.settle("make", "succeeded");
  assert.equal(graph.outcome, "failed");
});
