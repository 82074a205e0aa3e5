import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { makeControlFolder } from "./control-folder.ts";
import { type ReadLogOptions, readLog } from "./read-log.ts";
import { CTL } from "./shim.ts";

let ctl: string;
beforeEach(() => {
  ctl = mkdtempSync(join(tmpdir(), "berth-log-"));
  makeControlFolder(ctl);
});
afterEach(() => rmSync(ctl, { recursive: true }));

const STILL_RUNNING = async () => false;

async function read(options: Partial<ReadLogOptions> = {}): Promise<string> {
  const chunks = readLog(ctl, "stdout", { offset: 0, follow: false, ended: STILL_RUNNING, ...options });
  return Buffer.concat(await Array.fromAsync(chunks)).toString();
}

function print(text: string): void {
  appendFileSync(join(ctl, CTL.stdout), text);
}

function end(): void {
  const record = {
    ...{ started: true, exit: 0, signal: null, failed: null, errno: 0, cancel: null, stopped: false },
    ...{ oomKills: null, memoryPeakBytes: null, cpuUs: 0, maxRssKib: 0 },
  };
  writeFileSync(join(ctl, `${CTL.record}.tmp`), JSON.stringify(record));
  renameSync(join(ctl, `${CTL.record}.tmp`), join(ctl, CTL.record));
}

test("without following, what is there is read from the offset on, and a log that is not there is empty", async () => {
  assert.equal(await read(), "");
  print("0123456789");
  assert.equal(await read(), "0123456789");
  assert.equal(await read({ offset: 7 }), "789");
  assert.equal(await read({ offset: 99 }), "");
});

test("a follower that begins before the log gets everything, and ends with the record", async () => {
  const whole = read({ follow: true });
  print("first ");
  await new Promise((resolve) => setImmediate(resolve));
  print("second");
  end();
  assert.equal(await whole, "first second");
});

test("a follower of an attempt that is over reads to the end and stops", async () => {
  print("all of it");
  end();
  assert.equal(await read({ follow: true, offset: 4 }), "of it");
});

test("an attempt that ended without a record ends its follower", async () => {
  print("last words");
  assert.equal(await read({ follow: true, ended: async () => true }), "last words");
});

test("aborting ends the reading with the signal's reason", async () => {
  const abort = new AbortController();
  const reading = read({ follow: true, signal: abort.signal });
  abort.abort(new Error("enough"));
  await assert.rejects(reading, /enough/);
});

test("a link, a folder or a pipe in the place of the log is no log", async () => {
  const victim = join(ctl, "victim");
  writeFileSync(victim, "of the host");
  symlinkSync(victim, join(ctl, CTL.stdout));
  assert.equal(await read(), "");
  rmSync(join(ctl, CTL.stdout));
  mkdirSync(join(ctl, CTL.stdout));
  assert.equal(await read(), "");
});
