import assert from "node:assert/strict";
import { test } from "node:test";
import { readPriority } from "./priority.ts";
import { runCaptured } from "./testing/run-captured.ts";

test("a priority is a whole number of either sign, within its range", async () => {
  assert.deepEqual(["-100", "0", "+7", "100"].map(readPriority), [-100, 0, 7, 100]);
  for (const text of ["101", "-101", "1.5", "high", "", "1e1"]) assert.throws(() => readPriority(text), /-100 to 100/);
  const { exitCode, stderr } = await runCaptured(["run", "pipeline.yaml", "--priority", "-101"]);
  assert.equal(exitCode, 2);
  assert.match(stderr, /a whole number from -100 to 100/);
});
