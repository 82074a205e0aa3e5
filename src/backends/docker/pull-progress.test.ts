import assert from "node:assert/strict";
import { test } from "node:test";
import { PullProgress } from "./pull-progress.ts";

const MIB = 1024 * 1024;

test("a pull tells each step of a layer, and every few seconds how far all of them are together", () => {
  let now = 0;
  const progress = new PullProgress(() => now);
  const bar = (id: string, current: number) =>
    progress.read({ id, status: "Downloading", progress: "[=>]", progressDetail: { current, total: 100 * MIB } });
  assert.equal(progress.read({ id: "a", status: "Pulling fs layer" }), "a: Pulling fs layer\n");
  assert.equal(bar("a", 10 * MIB), null, "not at once");
  now = 3_000;
  assert.equal(bar("b", 20 * MIB), "Downloaded 30 of 200 MiB in 2 layers.\n");
  assert.equal(bar("b", 30 * MIB), null);
  assert.equal(progress.read({ id: "a", status: "Download complete" }), "a: Download complete\n");
  now = 6_000;
  assert.equal(bar("b", 30 * MIB), "Downloaded 130 of 200 MiB in 2 layers.\n");
  assert.equal(progress.read({ id: "b", status: "Extracting", progress: "[=>]" }), null);
});
