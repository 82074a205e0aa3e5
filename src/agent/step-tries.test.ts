import assert from "node:assert/strict";
import { test } from "node:test";
import { fault } from "../protocol/faults.ts";
import type { AttemptHistory } from "./run-history.ts";
import { StepTries } from "./step-tries.ts";

const PAUSE_MS = 2_000;

/** How long the next attempt waits after a restart of the agent, of a pause that ends in so many milliseconds. */
function waitMs(endsInMs: number): number {
  const outcome = { state: "failed", fault: fault("exit-nonzero", "It exited with 1.") };
  const attempt = {
    ...{ work: { ref: { attempt: 1 } }, intended: true, result: { outcome }, again: true },
    ...{ retryAt: Date.now() + endsInMs, pauseMs: PAUSE_MS, reported: true, released: true },
  } as unknown as AttemptHistory;
  const tries = new StepTries({ tries: new Map() }, { attempts: new Map([["a", [attempt]]]) });
  const { notBefore } = tries.of("a");
  return notBefore === null ? 0 : notBefore - performance.now();
}

test("a pause goes on after a restart, and is never longer than it was, however the clock was set meanwhile", () => {
  const left = waitMs(500);
  assert.ok(left > 300 && left <= 500, String(left));
  assert.equal(waitMs(-3_600_000), 0, "the clock was set forward");
  assert.ok(waitMs(3_600_000) <= PAUSE_MS, "the clock was set back");
});
