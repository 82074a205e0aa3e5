import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Journal } from "./journal.ts";
import type { JournalRecord } from "./journal-record.ts";

const root = mkdtempSync(join(tmpdir(), "berth-journal-"));
after(() => rmSync(root, { recursive: true }));

const cancel = (by: string): JournalRecord => ({ type: "cancel", facts: { by, reason: null, code: "cancelled" } });

function recordsIn(folder: string): JournalRecord[] {
  const records: JournalRecord[] = [];
  using _journal = Journal.open(folder, (record) => records.push(record));
  return records;
}

test("what was appended is replayed in order by the next process", () => {
  const folder = join(root, "order");
  {
    using journal = Journal.open(folder, () => assert.fail("a new journal is empty"));
    for (let index = 0; index < 5000; index++) journal.append(cancel(`${index} ${"é".repeat(200)}`));
  }
  const records = recordsIn(folder);
  assert.equal(records.length, 5000);
  assert.deepEqual(records[4999], cancel(`4999 ${"é".repeat(200)}`));
});

test("a last line torn at any byte is cut off, and the journal goes on behind the one before", () => {
  const folder = join(root, "torn");
  const file = join(folder, "journal.jsonl");
  {
    using journal = Journal.open(folder, () => {});
    journal.append(cancel("first"));
  }
  const whole = readFileSync(file).length;
  const line = Buffer.from(`${JSON.stringify(cancel("second"))}\n`);
  for (let length = 1; length < line.length; length++) {
    appendFileSync(file, line.subarray(0, length));
    assert.deepEqual(recordsIn(folder), [cancel("first")], `torn after ${length} bytes`);
    assert.equal(readFileSync(file).length, whole);
  }
  {
    using journal = Journal.open(folder, () => {});
    journal.append(cancel("third"));
  }
  assert.deepEqual(recordsIn(folder), [cancel("first"), cancel("third")]);
});

test("what a power cut left as zeros is cut off", () => {
  const folder = join(root, "zeros");
  {
    using journal = Journal.open(folder, () => {});
    journal.append(cancel("first"));
  }
  const file = join(folder, "journal.jsonl");
  truncateSync(file, readFileSync(file).length + 4096);
  assert.deepEqual(recordsIn(folder), [cancel("first")]);
});
