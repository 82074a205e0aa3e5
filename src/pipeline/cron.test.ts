import assert from "node:assert/strict";
import { test } from "node:test";
import { checkCron, checkTimeZone, newestTimes, nextTimes } from "./cron.ts";

function next(cron: string, timezone: string, after: string, count: number): string[] {
  return nextTimes({ cron, timezone }, Date.parse(after), count).map((ms) => new Date(ms).toISOString().slice(0, 16));
}

test("a time of day that the clocks skip is due at the change, once, and one that they repeat is due the first time", () => {
  // In Berlin the clocks go from 02:00 to 03:00 on 29 March 2026, and from 03:00 back to 02:00 on 25 October.
  assert.deepEqual(next("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 3), [
    "2026-03-28T01:30",
    "2026-03-29T01:00",
    "2026-03-30T00:30",
  ]);
  assert.deepEqual(next("30 2 * * *", "Europe/Berlin", "2026-10-24T00:00:00Z", 3), [
    "2026-10-24T00:30",
    "2026-10-25T00:30",
    "2026-10-26T01:30",
  ]);
  // A list of times is no less fixed than a single one.
  assert.deepEqual(next("0 2,4 * * *", "Europe/Berlin", "2026-10-24T20:00:00Z", 3), [
    "2026-10-25T00:00",
    "2026-10-25T03:00",
    "2026-10-26T01:00",
  ]);
  // Lord Howe moves its clocks by half an hour: from 02:00 to 02:30.
  assert.deepEqual(next("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", 2), [
    "2026-10-03T15:30",
    "2026-10-04T15:15",
  ]);
});

test("what recurs within the day goes on by its pause through both changes of the clocks", () => {
  assert.deepEqual(next("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 3), [
    "2026-03-29T00:30",
    "2026-03-29T01:00",
    "2026-03-29T01:30",
  ]);
  assert.deepEqual(next("0 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", 3), [
    "2026-10-25T00:00",
    "2026-10-25T01:00",
    "2026-10-25T02:00",
  ]);
});

test("times are the same whether they are counted forwards or backwards", () => {
  for (const cron of ["*/7 * * * *", "30 2 * * *", "0 2,4 * * *", "15 1-5 * * *", "0 0 L * *", "0 9 * * 1#2"]) {
    for (const timezone of ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]) {
      for (const start of ["2026-03-27T00:00:00Z", "2026-10-24T00:00:00Z", "2026-04-03T00:00:00Z"]) {
        const forwards = nextTimes({ cron, timezone }, Date.parse(start), 60);
        const backwards = newestTimes({ cron, timezone }, forwards.at(-1)!, 60);
        assert.deepEqual(backwards, forwards, `${cron} ${timezone} ${start}`);
      }
    }
  }
});

test("a moment itself is among the times until it, and not among those after it", () => {
  const noon = Date.parse("2026-05-01T12:00:00Z");
  const schedule = { cron: "0 12 * * *", timezone: "UTC" };
  assert.deepEqual(newestTimes(schedule, noon, 1), [noon]);
  assert.deepEqual(nextTimes(schedule, noon, 1), [noon + 86_400_000]);
});

test("days and weekdays that are both restricted count if either fits", () => {
  assert.deepEqual(next("0 0 13 * 5", "UTC", "2026-01-08T12:00:00Z", 2), ["2026-01-09T00:00", "2026-01-13T00:00"]);
});

test("expressions that say nothing, or never come, are refused in words", () => {
  for (const good of [
    "* * * * *",
    "@daily",
    " 0 3 * * * ",
    "0 0 29 2 *",
    "0 0 L * *",
    "0 9 * * MON-FRI",
    "0 0 * * 7",
  ]) {
    assert.equal(checkCron(good), null, good);
  }
  const bad: [string, RegExp][] = [
    ["0 0 30 2 *", /never comes: there is no such date/],
    ["0 0 31 4,6,9,11 *", /never comes/],
    ["", /has 0 fields; cron has five \(minute, hour/],
    ["* * * * * *", /has 6 fields/],
    ["2026-01-01T00:00:00", /has 1 field;/],
    ["60 * * * *", /invalid value for minute: 60/],
    ["*/0 * * * *", /stepping/],
    ["5-1 * * * *", /larger than/],
    ["? * * * *", /write "\*" for any/],
    ["a * * * *", /is no cron expression/],
    ["@dialy", /did you mean "@daily"/],
    ["@reboot", /there are @yearly/],
  ];
  for (const [expression, expected] of bad) assert.match(checkCron(expression) ?? "accepted", expected, expression);
});

test("unknown time zones are refused with what was meant", () => {
  for (const good of ["UTC", "Europe/Berlin", "America/Argentina/Ushuaia", "Asia/Kolkata"])
    assert.equal(checkTimeZone(good), null, good);
  assert.match(checkTimeZone("Europe/Berlni") ?? "", /did you mean "Europe\/Berlin"/);
  assert.match(checkTimeZone("Berlin") ?? "", /did you mean "Europe\/Berlin"/);
  assert.match(checkTimeZone("New York") ?? "", /did you mean "America\/New_York"/);
  assert.match(checkTimeZone("Mars/Olympus") ?? "", /is no time zone/);
});
