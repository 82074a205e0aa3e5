import assert from "node:assert/strict";
import { test } from "node:test";
import { seriesOf } from "../../protocol/usage-series.ts";
import { levelCurve, rateCurve } from "./usage-curves.ts";

test("CPU time becomes cores, by what was used between two looks, from the start on", () => {
  const series = seriesOf([1000, 2000, 4000].map((atMs, index) => ({ atMs, cpuMs: [500, 2500, 2500][index] })));
  assert.deepEqual(rateCurve(series, "cpuMs", 10), [500, 2000, 0]);
});

test("looks that are far apart fill the stretches between them, and many are shown by the highest", () => {
  const series = seriesOf([1000, 2000, 10_000].map((atMs, index) => ({ atMs, memoryBytes: [7, 9, 2][index] })));
  assert.deepEqual(levelCurve(series, "memoryBytes", 2), [9, 2]);
  assert.deepEqual(levelCurve(series, "memoryBytes", 3), [9, 2, 2]);
});

test("what is not known has no curve", () => {
  assert.deepEqual(levelCurve(seriesOf([{ atMs: 1, pids: 1 }]), "memoryBytes", 5), []);
});
