import assert from "node:assert/strict";
import { test } from "node:test";
import { estimate, sample } from "./steps.ts";

// Steps are plain functions: `node --test` runs them where berth-sdk is installed, without Berth.

test("the same seed gives the same estimate, near π", () => {
  const samples = [1, 2].map((seed) => sample({ seed, points: 10_000 }));
  assert.deepEqual(sample({ seed: 1, points: 10_000 }), samples[0]);
  const { pi } = estimate({ samples });
  assert.ok(Math.abs(pi - Math.PI) < 0.05, String(pi));
});

test("too few points are an error of the data", () => {
  assert.throws(() => sample({ seed: 1, points: 3 }), /too few/);
});
