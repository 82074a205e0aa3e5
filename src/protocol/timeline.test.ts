import assert from "node:assert/strict";
import { test } from "node:test";
import { timelineOf } from "./timeline.ts";

const START = Date.parse("2026-03-29T03:00:10.000Z");
const at = (ms: number) => new Date(START + ms);

/** In milliseconds from the start of the attempt. */
function shown(timed: Partial<Parameters<typeof timelineOf>[0]>) {
  const whole = { startedAt: at(0), finishedAt: at(1_000), waited: null, phases: {}, ...timed };
  return timelineOf(whole).map(({ phase, from, to }) => [
    phase,
    Date.parse(from) - START,
    to === null ? null : Date.parse(to) - START,
  ]);
}

test("the phases of an attempt follow on one another without a hole, those that took no time left out", () => {
  const waited = { queueMs: 200, imageMs: 50 };
  assert.deepEqual(shown({ waited, phases: { inputs: 20.4, running: 900, outputs: 30 } }), [
    ["queue", -250, -50],
    ["image", -50, 0],
    ["inputs", 0, 20],
    ["running", 20, 970],
    ["outputs", 970, 1_000],
  ]);
  assert.deepEqual(shown({}), [["running", 0, 1_000]]);
});

test("one that has not ended is running, and goes on", () => {
  assert.deepEqual(shown({ finishedAt: null, waited: { queueMs: 5, imageMs: 0 } }), [
    ["queue", -5, 0],
    ["running", 0, null],
  ]);
});

test("phases that were measured by another clock do not reach beyond the attempt", () => {
  assert.deepEqual(shown({ phases: { inputs: 800, running: 1, outputs: 700 } }), [
    ["inputs", 0, 800],
    ["outputs", 800, 1_000],
  ]);
  assert.deepEqual(shown({ finishedAt: at(-3), phases: { inputs: 5 } }), []);
});
