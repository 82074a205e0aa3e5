import assert from "node:assert/strict";
import { test } from "node:test";
import { fuzzPipelines } from "./fuzz-pipelines.ts";

test("no pipeline file makes the compiler crash, hang or take over a second", async () => {
  const failures = await fuzzPipelines({ seed: Date.now() % 1_000_000, inputs: 2_000, threads: 2 });
  assert.deepEqual(failures, []);
});
