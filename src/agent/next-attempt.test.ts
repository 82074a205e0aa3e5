import assert from "node:assert/strict";
import { test } from "node:test";
import type { Outcome } from "../backends/execution-backend.ts";
import { type FaultCode, fault } from "../protocol/faults.ts";
import { DEFAULT_RETRY, type RetryPolicy } from "../protocol/plan.ts";
import { countFault, memoryAfter, NO_FAULTS, nextAttempt } from "./next-attempt.ts";

const GIB = 2 ** 30;

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

/** The pauses before each further attempt of a step run whose every attempt ends like this. */
function pauses(end: Outcome, policy: Partial<RetryPolicy> = {}, memoryBytes: number | null = null): number[] {
  const rules = { policy: { ...DEFAULT_RETRY, ...policy }, memoryBytes, memoryMostBytes: 100 * GIB };
  const found: number[] = [];
  for (let faults = NO_FAULTS; ; faults = countFault(faults, end)) {
    const next = nextAttempt(end, rules, faults, () => 0.5);
    if (!next.again) return found;
    found.push(next.delayMs);
    assert.ok(found.length < 1000, "it is tried again for ever");
  }
}

test("what the step did is tried again three times, after twice the pause each time, of which a random part is waited", () => {
  for (const code of ["exit-nonzero", "killed-by-signal", "deadline-run", "disk-full"] as const) {
    assert.deepEqual(pauses(outcome("failed", code)), [500, 1000, 2000], code);
  }
});

test("success, a business error, a wrong configuration and a cancel are final, whatever the policy says", () => {
  const on = ["application", "business", "configuration", "cancelled", "output", "infrastructure"];
  assert.deepEqual(pauses(outcome("succeeded", null), { on }), []);
  for (const code of ["business", "image-not-found", "bad-entrypoint", "upstream-failed"] as const) {
    assert.deepEqual(pauses(outcome("failed", code), { on }), [], code);
  }
  assert.deepEqual(pauses(outcome("cancelled", "cancelled"), { on }), []);
});

test("a policy names classes or single codes; others are final", () => {
  assert.deepEqual(pauses(outcome("failed", "output-missing")), []);
  assert.equal(pauses(outcome("failed", "output-missing"), { on: ["output"] }).length, 3);
  assert.equal(pauses(outcome("failed", "killed-by-signal"), { on: ["killed-by-signal"] }).length, 3);
  assert.equal(pauses(outcome("failed", "exit-nonzero"), { on: ["killed-by-signal"] }).length, 0);
  assert.equal(pauses(outcome("failed", "exit-nonzero"), { max: 0 }).length, 0);
});

test("pauses grow as the policy says, up to the longest", () => {
  const failed = outcome("failed", "exit-nonzero");
  const policy = { max: 5, delayMs: 1000, maxDelayMs: 3000 };
  assert.deepEqual(pauses(failed, { ...policy, backoff: "fixed" }), [1000, 1000, 1000, 1000, 1000]);
  assert.deepEqual(pauses(failed, { ...policy, backoff: "linear" }), [1000, 2000, 3000, 3000, 3000]);
  assert.deepEqual(pauses(failed, { ...policy, backoff: "exponential" }), [500, 1000, 1500, 1500, 1500]);
  assert.deepEqual(pauses(failed, { delayMs: 0 }), [0, 0, 0]);
});

test("what the platform did is tried again on its own budget, and takes nothing from the step's", () => {
  for (const broken of [outcome("lost", "vanished"), outcome("failed", "stage-io"), outcome("lost", "node-lost")]) {
    assert.deepEqual(pauses(broken, { max: 0, on: ["output"] }), [500, 1000, 2000, 4000, 8000]);
    assert.deepEqual(pauses(broken, { infrastructureMax: 0 }), []);
  }
  const both = countFault(countFault(NO_FAULTS, outcome("lost", "vanished")), outcome("failed", "exit-nonzero"));
  assert.deepEqual(both, { own: 1, oom: 0, infrastructure: 1 });
});

test("after running out of memory there is twice as much, up to the cap, and none follows when there is no more", () => {
  const rules = { policy: { ...DEFAULT_RETRY, max: 10 }, memoryBytes: GIB, memoryMostBytes: 100 * GIB };
  const limits = [0, 1, 2, 3].map((oom) => memoryAfter({ ...NO_FAULTS, oom }, rules));
  assert.deepEqual(limits, [GIB, 2 * GIB, 4 * GIB, 4 * GIB]);
  const oom = outcome("failed", "oom");
  assert.equal(pauses(oom, { max: 10 }, GIB).length, 2);
  assert.equal(pauses(oom, { max: 10, maxMemoryBytes: 3 * GIB }, GIB).length, 2);
  assert.equal(pauses(oom, { max: 10, maxMemoryBytes: GIB }, GIB).length, 0);
  assert.equal(pauses(oom, { max: 10 }, null).length, 0);
  assert.equal(pauses(oom, { max: 1 }, GIB).length, 1);
});

test("memory is raised to what the worker has, and no further; a worker that has even less changes nothing", () => {
  const limits = (memoryMostBytes: number) =>
    [0, 1, 2, 3].map((oom) =>
      memoryAfter({ ...NO_FAULTS, oom }, { policy: DEFAULT_RETRY, memoryBytes: GIB, memoryMostBytes }),
    );
  assert.deepEqual(limits(3 * GIB), [GIB, 2 * GIB, 3 * GIB, 3 * GIB]);
  assert.deepEqual(limits(GIB / 2), [GIB, GIB, GIB, GIB]);
  const rules = { policy: DEFAULT_RETRY, memoryBytes: GIB, memoryMostBytes: 1.5 * GIB };
  const oom = outcome("failed", "oom");
  const first = nextAttempt(oom, rules, NO_FAULTS, () => 0);
  assert.deepEqual(first, { again: true, delayMs: 0, moreMemoryBytes: 1.5 * GIB });
  assert.deepEqual(
    nextAttempt(oom, rules, countFault(NO_FAULTS, oom), () => 0),
    { again: false },
  );
});
