import assert from "node:assert/strict";
import { test } from "node:test";
import { IdleWatch } from "./idle-watch.ts";

/** A watch with short times; `idle` resolves when it finds that nobody needs the platform. */
function watch(isNeeded: () => Promise<boolean>, idleMs = 40) {
  const { promise: idle, resolve } = Promise.withResolvers<void>();
  let asked = 0;
  const watching = new IdleWatch({
    isNeeded: () => {
      asked++;
      return isNeeded();
    },
    onIdle: resolve,
    idleMs,
    checkIntervalMs: 5,
  });
  return { watching, idle, asked: () => asked };
}

test("without use and without live runs the platform is idle", async () => {
  const { watching, idle } = watch(async () => false);
  using _ = watching;
  await idle;
});

test("a live run keeps it up, however long ago the last request was", async () => {
  let live = true;
  const { watching, idle, asked } = watch(async () => live, 10);
  using _ = watching;
  let isIdle = false;
  void idle.then(() => {
    isIdle = true;
  });
  while (asked() < 3) await new Promise(setImmediate);
  assert.equal(isIdle, false);
  live = false;
  await idle;
});

test("a question that cannot be answered is no reason to stop", async () => {
  let failures = 0;
  const { watching, idle } = watch(async () => {
    if (failures++ < 3) throw new Error("the server is just coming back");
    return false;
  }, 10);
  using _ = watching;
  await idle;
  assert.ok(failures > 3);
});

test("use while runs are being asked for counts", async () => {
  const answer = Promise.withResolvers<boolean>();
  let isIdle = false;
  const { watching, idle, asked } = watch(() => answer.promise, 20);
  using _ = watching;
  void idle.then(() => {
    isIdle = true;
  });
  while (asked() === 0) await new Promise(setImmediate);
  watching.touch();
  answer.resolve(false);
  await new Promise(setImmediate);
  assert.equal(isIdle, false);
  await idle;
});
