import assert from "node:assert/strict";
import { test } from "node:test";
import { CATCH_UP_MAX, dueTimes, LATE_MS } from "./due-times.ts";
import { decideOverlap, QUEUE_MAX, STARTS_MAX } from "./overlap.ts";

const MINUTE = 60_000;
const NOON = Date.parse("2026-05-01T12:00:00Z");
const each = (catchUp: "none" | "last" | "all", cron = "* * * * *") => ({ cron, timezone: "UTC", catchUp });

test("a time that has just come is due, whatever is to be done about missed ones", () => {
  for (const catchUp of ["none", "last", "all"] as const) {
    assert.deepEqual(dueTimes(each(catchUp), NOON, NOON + 800), { missed: null, due: [NOON], next: NOON + MINUTE });
  }
});

test("after an outage nothing, the newest, or each of the missed times is caught up", () => {
  const hourly = "0 * * * *";
  const hour = 60 * MINUTE;
  const now = NOON + 3 * hour + 10 * MINUTE;
  const next = NOON + 4 * hour;
  const [first, second, third, fourth] = [NOON, NOON + hour, NOON + 2 * hour, NOON + 3 * hour] as const;
  assert.deepEqual(dueTimes(each("none", hourly), NOON, now), {
    missed: { from: first, until: fourth },
    due: [],
    next,
  });
  assert.deepEqual(dueTimes(each("last", hourly), NOON, now), {
    missed: { from: first, until: third },
    due: [fourth],
    next,
  });
  assert.deepEqual(dueTimes(each("all", hourly), NOON, now), {
    missed: null,
    due: [first, second, third, fourth],
    next,
  });
});

test("a time that is less than a minute old was not missed", () => {
  assert.deepEqual(dueTimes(each("none", "0 12 * * *"), NOON, NOON + LATE_MS).due, [NOON]);
  assert.deepEqual(dueTimes(each("none", "0 12 * * *"), NOON, NOON + LATE_MS + 1).due, []);
});

test("a year of minutes is caught up within bounds, and the rest is one entry", () => {
  const year = 365 * 24 * 60 * MINUTE;
  const before = performance.now();
  const { missed, due } = dueTimes(each("all"), NOON, NOON + year);
  assert.ok(performance.now() - before < 2_000, "half a million times are not counted one by one");
  assert.equal(due.length, CATCH_UP_MAX);
  assert.deepEqual(missed, { from: NOON, until: NOON + year - CATCH_UP_MAX * MINUTE });
  assert.equal(due.at(-1), NOON + year);
});

test("what an overlap leads to is decided for all that waits at once", () => {
  assert.deepEqual(decideOverlap("allow", 2, 3), ["start", "start"]);
  assert.deepEqual(decideOverlap("allow", STARTS_MAX + 1, 0).slice(-2), ["start", "wait"]);
  assert.deepEqual(decideOverlap("skip", 1, 0), ["start"]);
  assert.deepEqual(decideOverlap("skip", 2, 0), ["start", "overlap"]);
  assert.deepEqual(decideOverlap("skip", 2, 1), ["overlap", "overlap"]);
  assert.deepEqual(decideOverlap("queue", 2, 0), ["start", "wait"]);
  assert.deepEqual(decideOverlap("queue", 2, 1), ["wait", "wait"]);
  assert.deepEqual(decideOverlap("cancel_older", 3, 1), ["superseded", "superseded", "wait"]);
  assert.deepEqual(decideOverlap("cancel_older", 2, 0), ["superseded", "start"]);
  const many = decideOverlap("queue", QUEUE_MAX + 2, 1);
  assert.deepEqual(many.slice(-3), ["wait", "queue-full", "queue-full"]);
});
