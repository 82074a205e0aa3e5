import assert from "node:assert/strict";
import { test } from "node:test";
import { ServerClock } from "./server-clock.ts";

test("the server's time is carried on by the monotonic clock, whatever the wall clock does", () => {
  let wallMs = 1_000_000;
  let monotonicMs = 50;
  const clock = new ServerClock(
    () => wallMs,
    () => monotonicMs,
  );
  assert.equal(clock.nowSeconds(), 1_000, "the wall clock, until the server was heard");
  clock.learn({ "berth-server-time": "9000" });
  wallMs = 0;
  monotonicMs += 2_000;
  assert.equal(clock.nowSeconds(), 9_002);
});

test("Date is believed where a proxy removed the exact header, and nonsense is ignored", () => {
  const clock = new ServerClock(
    () => 5_000,
    () => 0,
  );
  clock.learn({ date: "Thu, 01 Jan 1970 01:00:00 GMT" });
  assert.equal(clock.nowSeconds(), 3_600);
  clock.learn({ "berth-server-time": "soon", date: "never" });
  assert.equal(clock.nowSeconds(), 3_600);
});
