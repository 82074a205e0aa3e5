import assert from "node:assert/strict";
import { test } from "node:test";
import { step } from "../../pipeline/testing/step-plan.ts";
import type { ArtifactVersion, StepRun } from "../../protocol/resources.ts";
import { goneOf, type Produced, readsOf } from "./past-reads.ts";

const PLAN = {
  ...step("score"),
  outputs: {
    s: { path: "s", type: "file", optional: false, when: "success" },
    extra: { path: "x", type: "file", optional: true, when: "success" },
  },
} as const;
const BATCH = { step: "rows", artifact: "n", gather: "single", format: "auto", size: 1, parallel: 2 } as const;

function stepRun(item: number | null, state: StepRun["state"] = "succeeded"): StepRun {
  const key = item === null ? "score" : `score[${item}]`;
  return { key, step: "score", matrix: null, item, state } as StepRun;
}

function version(stepRunKey: string, name = "s"): ArtifactVersion {
  return { stepRun: stepRunKey, name, digest: stepRunKey, kind: "file" } as ArtifactVersion;
}

test("what was read is in the order of the step runs, without a batch as a whole", () => {
  const produced: Produced = {
    plan: { ...PLAN, batch: BATCH },
    stepRuns: [stepRun(null), stepRun(0), stepRun(1, "failed"), stepRun(2)],
    versions: [version("score[2]"), version("score[0]"), version("score[0]", "extra")],
  };
  const read = readsOf(produced, "s").map(({ producer, content }) => [producer.key, content.digest]);
  assert.deepEqual(read, [
    ["score[0]", "score[0]"],
    ["score[2]", "score[2]"],
  ]);
  assert.deepEqual(goneOf(produced, "s"), []);
});

test("an output that must have been written and is not there is named; an optional one may never have been", () => {
  const produced: Produced = {
    plan: { ...PLAN, batch: BATCH },
    stepRuns: [stepRun(null), stepRun(0), stepRun(1, "failed"), stepRun(2)],
    versions: [version("score[0]")],
  };
  assert.deepEqual(goneOf(produced, "s"), ["score[2]/s"]);
  assert.deepEqual(goneOf(produced, "extra"), []);
  assert.deepEqual(goneOf({ plan: PLAN, stepRuns: [stepRun(null)], versions: [] }, "s"), ["score/s"]);
});
