import assert from "node:assert/strict";
import { test } from "node:test";
import { fault } from "../../protocol/faults.ts";
import type { Run } from "../../protocol/resources.ts";
import { createStyle } from "../terminal/style.ts";
import { createRunView } from "./run-view.ts";
import { renderSummary } from "./summary.ts";

/** The lines of a run whose step `check` failed. */
function summaryOf(mayFail: boolean, state: Run["state"] = "failed"): string[] {
  const run = { pipeline: "wine", number: 3, state, startedAt: null, finishedAt: null, worker: null, cancel: null };
  const failed = { mayFail, key: "check", step: "check", matrix: null, item: null, parent: null, items: null };
  const view = createRunView(state, [
    {
      ...failed,
      state: "failed",
      startedAt: null,
      finishedAt: null,
      fault: fault("exit-nonzero", "It exited with 3."),
    },
  ]);
  const data = {
    run: { ...run, restartOf: null, priority: 0, concurrency: null, fault: null } as unknown as Run,
    view,
    artifacts: [],
  };
  return renderSummary(data, createStyle(false));
}

test("a step that was allowed to fail is told from one that made the run fail", () => {
  assert.ok(summaryOf(true).some((line) => /^! +check +failed, allowed/.test(line)));
  assert.ok(summaryOf(false).some((line) => /^✗ +check +failed *$/.test(line)));
});
