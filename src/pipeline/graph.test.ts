import assert from "node:assert/strict";
import { test } from "node:test";
import type { StepPlan } from "../protocol/plan.ts";
import { RunGraph } from "./graph.ts";
import { batchItems, type Consequence, initialStepRuns, type StepRunSpec } from "./step-runs.ts";
import { step } from "./testing/step-plan.ts";

const plan = (...steps: StepPlan[]) => ({ steps });
const keys = (specs: readonly StepRunSpec[]) => specs.map(({ key }) => key);
const ends = (consequences: readonly Consequence[]) =>
  consequences.map(({ stepRun, state }) => `${stepRun.key} ${state}`);

test("a step run exists per step and combination, numbered in the order of the file", () => {
  const specs = initialStepRuns(
    plan(step("a"), step("b", { matrix: [{ m: 1 }, { m: 2 }] }), step("c", { parallel: 1 })),
  );
  assert.deepEqual(keys(specs), ["a", "b[m=1]", "b[m=2]", "c"]);
  assert.deepEqual(
    specs.map(({ position, isBatch }) => [position, isBatch]),
    [
      [0, false],
      [1, false],
      [2, false],
      [3, true],
    ],
  );
});

test("the items of a batch know their parent and stand in its place", () => {
  const [batch] = initialStepRuns(plan(step("score", { matrix: [{ m: "knn" }], parallel: 1 })));
  assert.deepEqual(batchItems(batch!, 2)[1], {
    key: "score[m=knn][1]",
    step: "score",
    position: 0,
    matrix: { m: "knn" },
    item: 1,
    parent: "score[m=knn]",
    isBatch: false,
  });
});

test("a step is ready when all it needs has succeeded, and is handed out once", () => {
  const graph = new RunGraph(plan(step("a"), step("b"), step("c", { needs: ["a", "b"] })));
  assert.deepEqual(keys(graph.ready()), ["a", "b"]);
  graph.settle("a", "succeeded");
  assert.deepEqual(graph.ready(), []);
  graph.settle("b", "succeeded");
  assert.deepEqual(keys(graph.ready()), ["c"]);
  assert.deepEqual(graph.ready(), []);
  assert.equal(graph.outcome, null);
  graph.settle("c", "succeeded");
  assert.equal(graph.isDone, true);
  assert.equal(graph.outcome, "succeeded");
});

test("no more is handed out than asked for", () => {
  const graph = new RunGraph(plan(step("a"), step("b"), step("c")));
  assert.deepEqual(keys(graph.ready(2)), ["a", "b"]);
  assert.deepEqual(keys(graph.ready(0)), []);
  assert.deepEqual(keys(graph.ready(2)), ["c"]);
});

test("what needs a matrix step waits for every combination", () => {
  const graph = new RunGraph(plan(step("m", { matrix: [{ x: 1 }, { x: 2 }] }), step("after", { needs: ["m"] })));
  graph.ready();
  graph.settle("m[x=1]", "succeeded");
  assert.deepEqual(graph.ready(), []);
  graph.settle("m[x=2]", "succeeded");
  assert.deepEqual(keys(graph.ready()), ["after"]);
});

test("a failure skips all that needs the step, near and far, and lets other branches go on", () => {
  const steps = [
    step("a"),
    step("b", { needs: ["a"] }),
    step("c", { needs: ["b", "x"] }),
    step("x"),
    step("y", { needs: ["x"] }),
  ];
  const graph = new RunGraph(plan(...steps));
  graph.ready();
  assert.deepEqual(ends(graph.settle("a", "failed")), ["b skipped", "c skipped"]);
  graph.settle("x", "succeeded");
  assert.deepEqual(keys(graph.ready()), ["y"]);
  graph.settle("y", "succeeded");
  assert.equal(graph.outcome, "failed");
});

test("a combination that fails leaves the others alone and skips what needs the step once", () => {
  const graph = new RunGraph(
    plan(step("m", { matrix: [{ x: 1 }, { x: 2 }, { x: 3 }] }), step("after", { needs: ["m"] })),
  );
  graph.ready(2);
  assert.deepEqual(ends(graph.settle("m[x=1]", "failed")), ["after skipped"]);
  assert.deepEqual(ends(graph.settle("m[x=2]", "failed")), []);
  assert.deepEqual(keys(graph.ready()), ["m[x=3]"]);
  graph.settle("m[x=3]", "succeeded");
  assert.equal(graph.outcome, "failed");
});

test("a batch is split once it is ready and succeeds with its last item", () => {
  const graph = new RunGraph(plan(step("a"), step("b", { needs: ["a"], parallel: 10 }), step("c", { needs: ["b"] })));
  graph.ready();
  graph.settle("a", "succeeded");
  assert.deepEqual(keys(graph.ready()), ["b"]);
  assert.deepEqual(keys(graph.expand("b", 2).items), ["b[0]", "b[1]"]);
  assert.deepEqual(keys(graph.ready()), ["b[0]", "b[1]"]);
  assert.deepEqual(ends(graph.settle("b[1]", "succeeded")), []);
  assert.deepEqual(ends(graph.settle("b[0]", "succeeded")), ["b succeeded"]);
  assert.deepEqual(keys(graph.ready()), ["c"]);
  assert.deepEqual(keys(graph.producers("b")), ["b[0]", "b[1]"]);
});

test("a batch without items succeeds at once", () => {
  const graph = new RunGraph(plan(step("b", { parallel: 1 }), step("c", { needs: ["b"] })));
  graph.ready();
  assert.deepEqual(ends(graph.expand("b", 0).consequences), ["b succeeded"]);
  assert.deepEqual(keys(graph.ready()), ["c"]);
});

test("a batch that cannot be split fails as a whole", () => {
  const graph = new RunGraph(plan(step("b", { parallel: 1 }), step("c", { needs: ["b"] })));
  graph.ready();
  assert.deepEqual(ends(graph.settle("b", "failed")), ["c skipped"]);
  assert.equal(graph.outcome, "failed");
});

test("no more items of a step are out than its limit, over all of its combinations", () => {
  const graph = new RunGraph(plan(step("b", { matrix: [{ x: 1 }, { x: 2 }], parallel: 3 })));
  graph.ready();
  graph.expand("b[x=1]", 2);
  graph.expand("b[x=2]", 2);
  assert.deepEqual(keys(graph.ready()), ["b[x=1][0]", "b[x=1][1]", "b[x=2][0]"]);
  graph.settle("b[x=1][1]", "succeeded");
  assert.deepEqual(keys(graph.ready()), ["b[x=2][1]"]);
});

test("an item that fails skips the items not handed out, and the batch fails when the others have ended", () => {
  const graph = new RunGraph(plan(step("b", { parallel: 2 }), step("c", { needs: ["b"] })));
  graph.ready();
  graph.expand("b", 5);
  assert.deepEqual(keys(graph.ready()), ["b[0]", "b[1]"]);
  assert.deepEqual(ends(graph.settle("b[0]", "failed")), ["b[2] skipped", "b[3] skipped", "b[4] skipped"]);
  assert.deepEqual(graph.ready(), []);
  assert.deepEqual(ends(graph.settle("b[1]", "succeeded")), ["b failed", "c skipped"]);
  assert.equal(graph.outcome, "failed");
});

test("an item that was ready but not handed out is skipped as well, and its place is free again", () => {
  const graph = new RunGraph(plan(step("b", { matrix: [{ x: 1 }, { x: 2 }], parallel: 2 })));
  graph.ready();
  graph.expand("b[x=1]", 2);
  graph.expand("b[x=2]", 2);
  assert.deepEqual(keys(graph.ready(1)), ["b[x=1][0]"]);
  assert.deepEqual(ends(graph.settle("b[x=1][0]", "failed")), ["b[x=1][1] skipped", "b[x=1] failed"]);
  assert.deepEqual(keys(graph.ready()), ["b[x=2][0]", "b[x=2][1]"]);
});

test("what would become ready next is known ahead", () => {
  const graph = new RunGraph(
    plan(
      step("a"),
      step("z"),
      step("b", { needs: ["a"], parallel: 1 }),
      step("c", { needs: ["a", "z"] }),
      step("d", { needs: ["b"] }),
    ),
  );
  graph.ready();
  assert.deepEqual(keys(graph.readyAfter("a")), ["b"]);
  graph.settle("z", "succeeded");
  assert.deepEqual(keys(graph.readyAfter("a")), ["b", "c"]);
  graph.settle("a", "succeeded");
  graph.ready();
  graph.expand("b", 2);
  graph.ready();
  assert.deepEqual(keys(graph.readyAfter("b[0]")), ["b[1]"]);
  graph.settle("b[0]", "succeeded");
  graph.ready();
  assert.deepEqual(keys(graph.readyAfter("b[1]")), ["d"]);
});

test("a cancel ends what was not handed out; what was is settled by its owner", () => {
  const graph = new RunGraph(plan(step("a"), step("b", { parallel: 1 }), step("c", { needs: ["a"] }), step("d")));
  assert.deepEqual(keys(graph.ready(2)), ["a", "b"]);
  graph.expand("b", 2);
  assert.deepEqual(ends(graph.cancel()).sort(), [
    "b cancelled",
    "b[0] cancelled",
    "b[1] cancelled",
    "c cancelled",
    "d cancelled",
  ]);
  assert.deepEqual(graph.ready(), []);
  assert.equal(graph.isDone, false);
  graph.settle("a", "cancelled");
  assert.equal(graph.outcome, "cancelled");
});

test("a batch split after a cancel ends with all of its items", () => {
  const graph = new RunGraph(plan(step("b", { parallel: 1 })));
  graph.ready();
  graph.cancel();
  assert.deepEqual(ends(graph.expand("b", 2).consequences), ["b[0] cancelled", "b[1] cancelled", "b cancelled"]);
  assert.equal(graph.outcome, "cancelled");
});

test("a batch split into nothing after a cancel has still ended", () => {
  const graph = new RunGraph(plan(step("b", { parallel: 1 }), step("c", { needs: ["b"] })));
  graph.ready();
  graph.cancel();
  assert.deepEqual(ends(graph.expand("b", 0).consequences), ["b succeeded"]);
  assert.equal(graph.outcome, "cancelled");
});

test("a run taken over goes on behind what has ended", () => {
  const steps = plan(step("a"), step("b", { needs: ["a"], parallel: 2 }), step("c", { needs: ["b"] }));
  const graph = new RunGraph(steps, [
    { stepRun: "b[2]", state: "succeeded", items: null, byCondition: false },
    { stepRun: "b[3]", state: "running", items: null, byCondition: false },
    { stepRun: "b", state: "running", items: 4, byCondition: false },
    { stepRun: "a", state: "succeeded", items: null, byCondition: false },
  ]);
  assert.deepEqual(graph.restored, []);
  assert.deepEqual(keys(graph.ready()), ["b[3]", "b[0]"], "first what already runs");
  graph.settle("b[0]", "succeeded");
  assert.deepEqual(keys(graph.ready()), ["b[1]"]);
  graph.settle("b[1]", "succeeded");
  assert.deepEqual(ends(graph.settle("b[3]", "succeeded")), ["b succeeded"]);
  assert.deepEqual(keys(graph.ready()), ["c"]);
});

test("a take-over reports the ends that were still to be drawn from what is known", () => {
  const steps = plan(step("a"), step("b", { needs: ["a"] }), step("c", { needs: ["b"] }), step("d", { parallel: 5 }));
  const graph = new RunGraph(steps, [
    { stepRun: "c", state: "skipped", items: null, byCondition: false },
    { stepRun: "a", state: "failed", items: null, byCondition: false },
    { stepRun: "d", state: "running", items: 2, byCondition: false },
    { stepRun: "d[0]", state: "succeeded", items: null, byCondition: false },
    { stepRun: "d[1]", state: "succeeded", items: null, byCondition: false },
  ]);
  assert.deepEqual(ends(graph.restored), ["b skipped", "d succeeded"]);
  assert.deepEqual(graph.ready(), []);
  assert.equal(graph.outcome, "failed");
});

test("misuse is an error: an end twice, an end before the start, a split of what is no batch", () => {
  const graph = new RunGraph(plan(step("a"), step("b", { needs: ["a"] }), step("s", { parallel: 1 })));
  assert.throws(() => graph.settle("b", "succeeded"), /b is waiting/);
  graph.ready();
  graph.settle("a", "succeeded");
  assert.throws(() => graph.settle("a", "failed"), /a is succeeded/);
  assert.throws(() => graph.expand("a", 1), /no batch/);
  graph.expand("s", 1);
  assert.throws(() => graph.expand("s", 1), /no batch/);
  assert.throws(() => graph.settle("s", "succeeded"), /ends with its items/);
  assert.throws(() => graph.settle("nowhere", "succeeded"), /no step run nowhere/);
});
