import assert from "node:assert/strict";
import { test } from "node:test";
import { USAGE_SAMPLES_MAX, UsageSeries } from "./attempt-usage.ts";
import { mergedSeries, samplesOf, seriesOf, thinned } from "./usage-series.ts";

const line = (count: number, from = 0) =>
  Array.from({ length: count }, (_, index) => ({ atMs: (from + index) * 1000, cpuMs: from + index }));

test("samples are written figure by figure and read back, what was not known then as well", () => {
  const samples = [
    { atMs: 0, cpuMs: 1 },
    { atMs: 1000, cpuMs: 2, pids: 3 },
  ];
  const series = seriesOf(samples);
  assert.deepEqual(series, { atMs: [0, 1000], cpuMs: [1, 2], pids: [null, 3] });
  assert.deepEqual(UsageSeries.parse(series), series);
  assert.deepEqual(samplesOf(series), samples);
});

test("a figure with another number of values than there are times is refused", () => {
  assert.equal(UsageSeries.safeParse({ atMs: [0, 1], cpuMs: [1] }).success, false);
});

test("too many samples are thinned by halving, evenly, and the first one stays", () => {
  const kept = thinned(line(3 * USAGE_SAMPLES_MAX));
  assert.ok(kept.length <= USAGE_SAMPLES_MAX && kept.length > USAGE_SAMPLES_MAX / 2);
  assert.equal(kept[0]!.atMs, 0);
  const gaps = new Set(kept.slice(1).map(({ atMs }, index) => atMs - kept[index]!.atMs));
  assert.equal(gaps.size, 1);
});

test("what another process saw before stays, and what was seen again is replaced", () => {
  const merged = mergedSeries(seriesOf(line(5)), seriesOf(line(4, 3).map((one) => ({ ...one, cpuMs: 100 }))));
  assert.deepEqual(merged, { atMs: [0, 1000, 2000, 3000, 4000, 5000, 6000], cpuMs: [0, 1, 2, 100, 100, 100, 100] });
  assert.deepEqual(mergedSeries(seriesOf(line(5)), { atMs: [] }), seriesOf(line(5)));
});
