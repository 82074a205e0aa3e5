import assert from "node:assert/strict";
import { test } from "node:test";
import type { Outcome } from "../backends/execution-backend.ts";
import { type FaultCode, fault } from "../protocol/faults.ts";
import { INFRASTRUCTURE_FAULTS_MAX, nextAttempt } from "./next-attempt.ts";

function outcome(state: Outcome["state"], code: FaultCode | null): Outcome {
  return {
    state,
    exitCode: null,
    signal: null,
    fault: code === null ? null : fault(code, "…"),
    stats: {},
    warnings: [],
  };
}

test("what the step did is final: success, its own failure, a cancel, a wrong configuration", () => {
  assert.equal(nextAttempt(outcome("succeeded", null), 0).again, false);
  for (const code of [
    "exit-nonzero",
    "business",
    "oom",
    "deadline-run",
    "output-missing",
    "image-not-found",
  ] as const) {
    assert.equal(nextAttempt(outcome("failed", code), 0).again, false, code);
  }
  assert.equal(nextAttempt(outcome("cancelled", "cancelled"), 0).again, false);
});

test("what the platform did is tried again, later each time, up to its budget", () => {
  for (const broken of [
    outcome("lost", "vanished"),
    outcome("failed", "stage-io"),
    outcome("failed", "image-pull-transient"),
  ]) {
    const delays = [];
    for (let faults = 0; ; faults++) {
      const next = nextAttempt(broken, faults);
      if (!next.again) break;
      delays.push(next.delayMs);
    }
    assert.equal(delays.length, INFRASTRUCTURE_FAULTS_MAX - 1);
    assert.ok(delays[1]! > delays[0]!);
  }
});
