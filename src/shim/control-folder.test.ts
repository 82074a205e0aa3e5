import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import {
  makeControlFolder,
  readCancel,
  readStartCounters,
  readStarted,
  sayGo,
  wasToldToGo,
  writeCancel,
} from "./control-folder.ts";
import { parseRecord, readRecord } from "./read-record.ts";
import { CTL } from "./shim.ts";

let ctl: string;
beforeEach(() => {
  ctl = mkdtempSync(join(tmpdir(), "berth-ctl-"));
  makeControlFolder(ctl);
});
afterEach(() => rmSync(ctl, { recursive: true }));

test("making the folder and saying go can be repeated", () => {
  makeControlFolder(ctl);
  assert.equal(wasToldToGo(ctl), false);
  sayGo(ctl);
  sayGo(ctl);
  assert.equal(wasToldToGo(ctl), true);
});

test("a link planted in the place of the word to go is not followed", () => {
  const victim = join(ctl, "victim");
  symlinkSync(victim, join(ctl, CTL.go));
  sayGo(ctl);
  assert.equal(existsSync(victim), false);
});

test("of several cancels the first reason stays, the shortest grace counts, and no draft is left", () => {
  assert.equal(readCancel(ctl), null);
  writeCancel(ctl, { graceMs: 5000, reason: "deadline-run" });
  writeCancel(ctl, { graceMs: 9000, reason: "user" });
  assert.deepEqual(readCancel(ctl), { graceMs: 5000, reason: "deadline-run" });
  assert.deepEqual(writeCancel(ctl, { graceMs: 0, reason: "user" }), { graceMs: 0, reason: "deadline-run" });
  assert.deepEqual(readCancel(ctl), { graceMs: 0, reason: "deadline-run" });
  assert.deepEqual(readdirSync(ctl).sort(), [CTL.cancel, CTL.end]);
});

test("a reason that the shim could not repeat is refused", () => {
  assert.throws(() => writeCancel(ctl, { graceMs: 0, reason: 'x","exit":0' }), TypeError);
});

test("what is not a pid is not taken for one", () => {
  assert.equal(readStarted(ctl), null);
  for (const text of ["", "0\n", "-5\n", "x"]) {
    writeFileSync(join(ctl, CTL.started), text);
    assert.equal(readStarted(ctl), null, text);
  }
  writeFileSync(join(ctl, CTL.started), "17\n");
  assert.equal(readStarted(ctl), 17);
});

test("the counters at the start are read, those that are not known as null", () => {
  assert.equal(readStartCounters(ctl), null);
  for (const text of ["17\n", "17\n1 2\n", "17\n-1 4 5\n"]) {
    writeFileSync(join(ctl, CTL.started), text);
    assert.equal(readStartCounters(ctl), null, text);
  }
  writeFileSync(join(ctl, CTL.started), "17\n51000 null 340\n");
  assert.equal(readStarted(ctl), 17);
  assert.deepEqual(readStartCounters(ctl), { cpuUs: 51_000, receivedBytes: null, sentBytes: 340 });
});

const RECORD = {
  ...{ started: true, exit: 0, signal: null, failed: null, errno: 0, cancel: null, stopped: false },
  ...{ oomKills: null, memoryPeakBytes: null, cpuUs: 1, maxRssKib: 1 },
};

test("a record is read back, and what is none is no evidence", () => {
  assert.equal(readRecord(ctl), null);
  assert.deepEqual(parseRecord(JSON.stringify(RECORD)), RECORD);
  const withFigures = { ...RECORD, userUs: 1, readBytes: null };
  assert.deepEqual(parseRecord(JSON.stringify(withFigures)), withFigures);
  const broken = [
    "",
    "{",
    "null",
    "[]",
    "7",
    JSON.stringify({ ...RECORD, exit: null }),
    JSON.stringify({ ...RECORD, signal: 9 }),
    JSON.stringify({ ...RECORD, started: false }),
    JSON.stringify({ ...RECORD, exit: -1 }),
    JSON.stringify({ ...RECORD, exit: 1.5 }),
    JSON.stringify({ ...RECORD, writtenBytes: -1 }),
    JSON.stringify({ ...RECORD, failed: "other" }),
    JSON.stringify({ ...RECORD, cpuUs: "1" }),
  ];
  for (const text of broken) {
    writeFileSync(join(ctl, CTL.record), text);
    assert.equal(readRecord(ctl), null, text);
  }
});
