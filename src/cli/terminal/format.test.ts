import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAge, formatDuration } from "./format-duration.ts";
import { createStyle } from "./style.ts";
import { clip, renderTable } from "./table.ts";

test("durations use the unit that people would", () => {
  assert.deepEqual([12, 420, 12_340, 59_960, 125_000, 3_780_000].map(formatDuration), [
    "0.01 s",
    "0.4 s",
    "12.3 s",
    "1 m 00 s",
    "2 m 05 s",
    "1 h 03 m",
  ]);
});

test("a clock that ran backwards gives no negative duration", () => {
  assert.equal(formatDuration(-5), "0.00 s");
});

test("ages are rounded down", () => {
  assert.deepEqual([1000, 5 * 60_000, 3 * 3_600_000, 72 * 3_600_000].map(formatAge), [
    "just now",
    "5 m ago",
    "3 h ago",
    "3 d ago",
  ]);
});

test("a table aligns its columns whatever the colours of its cells", () => {
  const { red } = createStyle(true);
  const lines = renderTable(
    [{ title: "NAME" }, { title: "SIZE", align: "right" }],
    [
      [red("a"), "10"],
      ["long", "9"],
    ],
  );
  assert.deepEqual(lines, ["NAME  SIZE", `${red("a")}       10`, "long     9"]);
});

test("text is cut by characters, not by code units", () => {
  assert.equal(clip("𝒜𝒷𝒸𝒹", 3), "𝒜𝒷…");
  assert.equal(clip("short", 5), "short");
});
