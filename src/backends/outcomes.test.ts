import assert from "node:assert/strict";
import { test } from "node:test";
import { stoppedOutcome } from "./outcomes.ts";

test("a step that was stopped on request is cancelled, and no run is said to be: a replay has none", () => {
  const { state, fault } = stoppedOutcome("user");
  assert.deepEqual(
    [state, fault?.code, fault?.message],
    ["cancelled", "cancelled", "The step was stopped on request."],
  );
});
