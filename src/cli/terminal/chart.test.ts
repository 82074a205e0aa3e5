import assert from "node:assert/strict";
import { test } from "node:test";
import { renderChart } from "./chart.ts";

test("a chart has its highest value at the top, nothing where there is none, and shows what is little", () => {
  const lines = renderChart([0, 1, null, 4, 8, 0.01], { width: 10, height: 2, label: (value) => `${value} B` });
  assert.deepEqual(lines, ["8 B │    █", "0 B │ ▂ ██▁"]);
});

test("of more values than there are columns, each column shows the highest of its share", () => {
  assert.deepEqual(renderChart([1, 8, 2, 4], { width: 2, height: 1, label: String }), ["8 │█▄"]);
  assert.deepEqual(renderChart([], { width: 2, height: 1, label: String }), ["1 │"]);
});
