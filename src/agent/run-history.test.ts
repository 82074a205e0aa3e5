import assert from "node:assert/strict";
import { test } from "node:test";
import type { AttemptResult, AttemptWork } from "../runtime/attempt-work.ts";
import { RunHistory } from "./run-history.ts";

function workOf(stepRun: string): AttemptWork {
  return { ref: { run: "run", scope: "run.1", stepRun, attempt: 1 } } as AttemptWork;
}

function resultOf(stepRun: string) {
  return {
    type: "result",
    stepRun,
    attempt: 1,
    result: {} as AttemptResult,
    again: false,
    retryAt: null,
    pauseMs: null,
  } as const;
}

test("ends that were not reported come in their order, also of a step that was made ready before what it reads ran", () => {
  const history = new RunHistory();
  history.apply({ type: "prepared", work: workOf("reads") });
  for (const stepRun of ["makes", "reads"]) {
    history.apply({ type: "intent", work: workOf(stepRun) });
    history.apply(resultOf(stepRun));
  }
  assert.deepEqual(
    history.unreported.map(({ work }) => work.ref.stepRun),
    ["makes", "reads"],
  );
});
