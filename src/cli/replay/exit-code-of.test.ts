import assert from "node:assert/strict";
import { test } from "node:test";
import { type FaultCode, fault } from "../../protocol/faults.ts";
import { exitCodeOf } from "./exit-code-of.ts";

test("a replay exits as its step did, and says in Berth's own codes what is not the step's", () => {
  const cases: [
    state: "succeeded" | "failed",
    exit: number | null,
    signal: string | null,
    why: FaultCode | null,
    code: number,
  ][] = [
    ["succeeded", 0, null, null, 0],
    ["failed", 65, null, "business", 65],
    ["failed", null, "SIGKILL", "oom", 137],
    ["failed", null, "SIGTERM", "deadline-run", 143],
    // It exited with 0, but did not write what it promised.
    ["failed", 0, null, "output-missing", 1],
    ["failed", null, null, "bad-entrypoint", 3],
    ["failed", null, null, "daemon-lost", 3],
  ];
  for (const [state, exitCode, signal, why, expected] of cases) {
    const outcome = {
      state,
      exitCode,
      signal,
      fault: why === null ? null : fault(why, "why"),
      stats: {},
      warnings: [],
    };
    assert.equal(exitCodeOf(outcome), expected, JSON.stringify(outcome));
  }
});
