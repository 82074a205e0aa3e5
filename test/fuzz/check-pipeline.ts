import assert from "node:assert/strict";
import { compilePipeline } from "../../src/pipeline/compile.ts";
import { RunGraph } from "../../src/pipeline/graph.ts";
import { initialStepRuns } from "../../src/pipeline/step-runs.ts";
import { Plan } from "../../src/protocol/plan.ts";

/** A compile of a small text takes a few milliseconds. */
const SLOW_MS = 1_000;

/** Compiles, and holds every result to what callers rely on. */
export function checkPipeline(text: string): void {
  const result = timed(text);
  if (!result.ok) {
    assert.ok(result.problems.length > 0);
    for (const { message, line = 1, column = 1 } of result.problems) {
      assert.ok(message !== "" && line >= 1 && column >= 1);
      assert.doesNotMatch(message, /\p{Cc}/u, "a message is safe to print");
    }
    return;
  }
  assert.deepEqual(Plan.parse(result.plan), result.plan);
  const keys = initialStepRuns(result.plan).map(({ key }) => key);
  assert.equal(new Set(keys).size, keys.length, "keys are unique");
  const graph = new RunGraph(result.plan);
  for (let ready = graph.ready(); ready.length > 0; ready = graph.ready()) {
    for (const { key, isBatch } of ready) {
      if (isBatch) graph.expand(key, 1);
      else graph.settle(key, "succeeded");
    }
  }
  assert.equal(graph.outcome, "succeeded", "a plan that compiles can run to its end");
}

/** Only a text that is slow each time is: else the machine was busy with something else. */
function timed(text: string): ReturnType<typeof compilePipeline> {
  for (let attempt = 1; ; attempt++) {
    const started = performance.now();
    const result = compilePipeline(text);
    const took = performance.now() - started;
    if (took < SLOW_MS) return result;
    assert.ok(attempt < 3, `it takes ${Math.round(took)} ms`);
  }
}
