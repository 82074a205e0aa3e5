import assert from "node:assert/strict";
import { test } from "node:test";
import { fault } from "../../protocol/faults.ts";
import type { MetricSummary } from "../../protocol/messages.ts";
import type { Run } from "../../protocol/resources.ts";
import { createStyle } from "../terminal/style.ts";
import { createRunView, type StepRunSeed } from "./run-view.ts";
import { renderSummary } from "./summary.ts";

/** The lines of a run whose step `check` failed. */
function summaryOf(
  mayFail: boolean,
  state: Run["state"] = "failed",
  metrics: readonly MetricSummary[] = [],
  attempts: StepRunSeed["attempts"] = [],
): string[] {
  const run = { pipeline: "wine", number: 3, state, startedAt: null, finishedAt: null, worker: null, cancel: null };
  const failed = { mayFail, key: "check", step: "check", matrix: null, item: null, parent: null, items: null };
  const view = createRunView(state, [
    {
      ...failed,
      state: "failed",
      startedAt: null,
      finishedAt: null,
      fault: fault("exit-nonzero", "It exited with 3."),
      attempts,
    },
  ]);
  const data = {
    run: { ...run, restartOf: null, priority: 0, concurrency: null, fault: null } as unknown as Run,
    view,
    artifacts: [],
    metrics,
  };
  return renderSummary(data, createStyle(false));
}

test("a step that was allowed to fail is told from one that made the run fail", () => {
  assert.ok(summaryOf(true).some((line) => /^! +check +failed, allowed/.test(line)));
  assert.ok(summaryOf(false).some((line) => /^✗ +check +failed *$/.test(line)));
});

test("of each metric the last value of the newest attempt is there", () => {
  const at = "2026-01-01T00:00:00Z";
  const loss = { stepRun: "train[model=knn]", name: "loss", step: null, at, count: 3, min: 0.25, max: 1 };
  const lines = summaryOf(true, "succeeded", [
    { ...loss, attempt: 1, value: 1 },
    { ...loss, attempt: 2, value: 0.1 + 0.2 },
    { ...loss, attempt: 2, name: "auc\u001b[2J", value: 12_345_678, count: 1 },
  ]);
  assert.deepEqual(
    lines.filter((line) => line.includes("train")),
    ["   train[model=knn] loss       0.3  of 3 values from 0.25 to 1", "   train[model=knn] auc   12345700"],
  );
});

test("what the last attempt was warned of is there, and no more of it than can be read", () => {
  const warned = [{ warnings: ["of old"] }, { warnings: Array.from({ length: 25 }, (_, n) => `odd \u001b[2J${n}`) }];
  const lines = summaryOf(true, "succeeded", [], warned).filter((line) => /odd|old|warnings/.test(line));
  assert.deepEqual([lines.length, lines[0], lines.at(-1)], [21, "! check: odd 0", "  … and 5 more warnings"]);
});
