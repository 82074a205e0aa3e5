import assert from "node:assert/strict";
import { test } from "node:test";
import type { StepPlan } from "../protocol/plan.ts";
import { RunGraph } from "./graph.ts";
import type { Consequence, StepRunSpec } from "./step-runs.ts";
import { step } from "./testing/step-plan.ts";

const keys = (specs: readonly StepRunSpec[]) => specs.map(({ key }) => key);
const ends = (consequences: readonly Consequence[]) =>
  consequences.map(({ stepRun, state, byCondition }) => `${stepRun.key} ${state}${byCondition ? " by condition" : ""}`);
const reading = (from: string, gather: "single" | "lines" = "single") =>
  ({ inputs: { x: { step: from, artifact: "x", gather, type: "text" } } }) satisfies Partial<StepPlan>;

test("a step whose condition looks at another's state is ready when that has ended, however it did", () => {
  for (const state of ["succeeded", "failed", "cancelled"] as const) {
    const graph = new RunGraph({ steps: [step("a"), step("b", { needs: ["a"], decidedBy: ["a"] })] });
    graph.ready();
    graph.settle("a", state);
    assert.deepEqual(keys(graph.ready()), ["b"], state);
  }
});

test("of a need that the condition does not look at, success is still asked", () => {
  const graph = new RunGraph({ steps: [step("a"), step("b"), step("c", { needs: ["a", "b"], decidedBy: ["a"] })] });
  graph.ready();
  assert.deepEqual(ends(graph.settle("b", "failed")), ["c skipped"]);
  assert.deepEqual(ends(graph.settle("a", "failed")), []);
  assert.deepEqual(keys(graph.ready()), []);
  assert.equal(graph.outcome, "failed");
});

test("what a condition skips takes with it what needs it, and the run may succeed", () => {
  const steps = [
    step("a", { decidedBy: [] }),
    step("b", { needs: ["a"] }),
    step("c", { needs: ["b"], decidedBy: ["b"] }),
  ];
  const graph = new RunGraph({ steps });
  assert.deepEqual(keys(graph.ready()), ["a"]);
  assert.deepEqual(ends(graph.settle("a", "skipped", true)), ["b skipped by condition"]);
  assert.deepEqual(keys(graph.ready()), ["c"]);
  graph.settle("c", "succeeded");
  assert.equal(graph.outcome, "succeeded");
});

test("a step that may fail lets the others go on, but for those that read what it did not write", () => {
  const graph = new RunGraph({
    steps: [
      step("a", { allowFailure: true }),
      step("after", { needs: ["a"] }),
      step("reads", { needs: ["a"], ...reading("a") }),
    ],
  });
  graph.ready();
  assert.deepEqual(ends(graph.settle("a", "failed")), ["reads skipped by condition"]);
  assert.deepEqual(keys(graph.ready()), ["after"]);
  graph.settle("after", "succeeded");
  assert.equal(graph.outcome, "succeeded");
});

test("of a matrix that may fail what succeeded is gathered", () => {
  const graph = new RunGraph({
    steps: [
      step("a", { allowFailure: true, matrix: [{ m: 1 }, { m: 2 }] }),
      step("all", { needs: ["a"], ...reading("a", "lines") }),
    ],
  });
  graph.ready();
  graph.settle("a[m=2]", "failed");
  graph.settle("a[m=1]", "succeeded");
  assert.deepEqual(keys(graph.ready()), ["all"]);
});

test("with fail_fast a combination that fails skips those that wait and stops those that run", () => {
  const matrix = [{ m: 1 }, { m: 2 }, { m: 3 }];
  const graph = new RunGraph({ steps: [step("a", { failFast: true, matrix }), step("b")] });
  graph.ready(2);
  assert.deepEqual(ends(graph.settle("a[m=1]", "failed")), ["a[m=3] skipped"]);
  assert.deepEqual(keys(graph.stoppedBy("a[m=1]")), ["a[m=2]"]);
  graph.settle("a[m=2]", "cancelled");
  assert.deepEqual(keys(graph.ready()), ["b"]);
  graph.settle("b", "succeeded");
  assert.equal(graph.outcome, "failed");
});

test("without fail_fast all items of a batch go on after one failed", () => {
  const graph = new RunGraph({ steps: [step("a", { failFast: false, parallel: 1 })] });
  graph.ready();
  graph.expand("a", 3);
  for (const state of ["failed", "succeeded", "succeeded"] as const) {
    const [item] = graph.ready();
    graph.settle(item!.key, state);
  }
  assert.equal(graph.stateOf("a"), "failed");
});

test("with fail_fast of the pipeline the first failure ends everything", () => {
  const graph = new RunGraph({
    steps: [step("a"), step("b"), step("c"), step("d", { needs: ["c"] }), step("may", { allowFailure: true })],
    failFast: true,
  });
  graph.ready(2);
  assert.deepEqual(ends(graph.settle("a", "failed")).toSorted(), ["c skipped", "d skipped", "may skipped"]);
  assert.deepEqual(keys(graph.stoppedBy("a")), ["b"]);
  graph.settle("b", "cancelled");
  assert.equal(graph.outcome, "failed");
});

test("a phase holds its own steps only, and waits for nothing of the phases before", () => {
  const steps = [step("a"), step("last", { phase: "finally", needs: ["a"] }), step("bad", { phase: "on_failure" })];
  assert.deepEqual(keys(new RunGraph({ steps }).ready()), ["a"]);
  assert.deepEqual(keys(new RunGraph({ steps }, [], "finally").ready()), ["last"]);
  const unwanted = new RunGraph({ steps }, [], "on_failure");
  assert.deepEqual(ends(unwanted.skip()), ["bad skipped by condition"]);
  assert.equal(unwanted.outcome, "succeeded");
  const prior = [{ stepRun: "a", state: "succeeded", items: null, byCondition: false }] as const;
  assert.deepEqual(keys(new RunGraph({ steps }, prior, "finally").ready()), ["last"]);
});
