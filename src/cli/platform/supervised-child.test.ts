import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { type ChildMessage, SupervisedChild } from "./supervised-child.ts";

let folder: string;
let logFd: number;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "berth-child-"));
  logFd = openSync(join(folder, "log"), "a");
});
afterEach(() => {
  closeSync(logFd);
  rmSync(folder, { recursive: true, force: true });
});

/** A child that runs `script`, and what it said and how it ended so far. */
function supervised(script: string) {
  const file = join(folder, "program.mjs");
  writeFileSync(file, script);
  const exits: { how: string; restartInMs: number }[] = [];
  const waiters: { count: number; resolve: () => void }[] = [];
  let ready = 0;
  const child = new SupervisedChild({
    name: "program",
    command: [process.execPath, file],
    env: process.env,
    logFd,
    onMessage: (message: ChildMessage) => {
      if (message.type === "ready") ready++;
      for (const waiter of waiters) if (ready >= waiter.count) waiter.resolve();
    },
    onExit: (how, restartInMs) => exits.push({ how, restartInMs }),
  });
  const readyTimes = (count: number) =>
    ready >= count ? Promise.resolve() : new Promise<void>((resolve) => waiters.push({ count, resolve }));
  return { child, exits, readyTimes };
}

const SERVES =
  'process.send({ type: "ready" }); process.on("SIGTERM", () => process.exit(0)); setInterval(() => {}, 1000);';

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test("a program that is killed is back in about a second", async () => {
  const { child, exits, readyTimes } = supervised(SERVES);
  child.start();
  await readyTimes(1);
  const first = child.pid!;
  const killedAtMs = performance.now();
  process.kill(first, "SIGKILL");
  await readyTimes(2);
  assert.ok(performance.now() - killedAtMs < 3000);
  assert.notEqual(child.pid, first);
  assert.deepEqual(exits, [{ how: "was killed by SIGKILL", restartInMs: 200 }]);
  await child.stop();
});

test("a program that keeps failing is started less and less often", async () => {
  const { child, exits, readyTimes } = supervised('process.send({ type: "ready" }, () => process.exit(3));');
  child.start();
  await readyTimes(3);
  await child.stop();
  assert.deepEqual(exits.slice(0, 2), [
    { how: "exited with 3", restartInMs: 200 },
    { how: "exited with 3", restartInMs: 400 },
  ]);
});

test("stopping ends the program in order, and it is not started again", async () => {
  const { child, exits, readyTimes } = supervised(SERVES);
  child.start();
  await readyTimes(1);
  const pid = child.pid!;
  await child.stop();
  assert.equal(isAlive(pid), false);
  assert.equal(child.pid, null);
  assert.deepEqual(exits, []);
});

test("stopping between two starts waits for neither", async () => {
  const { child, exits, readyTimes } = supervised('process.send({ type: "ready" }, () => process.exit(3));');
  child.start();
  await readyTimes(2);
  const stoppedAtMs = performance.now();
  await child.stop();
  assert.ok(performance.now() - stoppedAtMs < 2000);
  assert.ok(exits.length <= 2);
});

test("a program that cannot be started at all is reported, and tried again", async () => {
  const exits: string[] = [];
  const { promise: twice, resolve } = Promise.withResolvers<void>();
  const child = new SupervisedChild({
    name: "missing",
    command: [join(folder, "missing")],
    env: process.env,
    logFd,
    onMessage: () => {},
    onExit: (how) => {
      exits.push(how);
      if (exits.length === 2) resolve();
    },
  });
  child.start();
  await twice;
  await child.stop();
  assert.match(exits[0]!, /could not be started: .*ENOENT/);
});
