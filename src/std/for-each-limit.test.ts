import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { forEachLimit } from "./for-each-limit.ts";

test("never more than the limit are at work", async () => {
  let atWork = 0;
  let most = 0;
  const done: number[] = [];
  await forEachLimit([1, 2, 3, 4, 5, 6, 7], 3, async (item) => {
    most = Math.max(most, ++atWork);
    await setImmediate();
    atWork--;
    done.push(item);
  });
  assert.equal(most, 3);
  assert.equal(done.length, 7);
});

test("the first failure is thrown once nothing runs any more, nothing further starts, and the source is closed", async () => {
  const started: number[] = [];
  let running = 0;
  let closed = false;
  function* source() {
    try {
      for (let item = 0; ; item++) yield item;
    } finally {
      closed = true;
    }
  }
  await assert.rejects(
    forEachLimit(source(), 2, async (item) => {
      started.push(item);
      running++;
      await setImmediate();
      running--;
      if (item === 2) throw new Error("the third");
    }),
    /the third/,
  );
  assert.equal(running, 0);
  assert.ok(started.length <= 5);
  assert.equal(closed, true);
});
