import { closeSync, fdatasync, fstatSync, ftruncateSync, mkdirSync, openSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { JournalRecord } from "./journal-record.ts";
import { syncFolder } from "./write-durably.ts";

const fdatasyncAsync = promisify(fdatasync);

const JOURNAL_FILE = "journal.jsonl";
const READ_CHUNK_BYTES = 1024 * 1024;
const NEWLINE = 0x0a;

/**
 * The journal of one run: lines of JSON, appended before each act. An append reaches the kernel before it returns, so
 * it survives the death of the agent; `sync` bounds what a power cut can take. Appends are synchronous on purpose: they
 * cost microseconds, keep the order of acts plain, and spare a step two trips through the thread pool.
 */
export class Journal implements Disposable {
  readonly #descriptor: number;
  #size: number;
  #dirty = true;
  #closed = false;

  private constructor(descriptor: number, size: number) {
    this.#descriptor = descriptor;
    this.#size = size;
  }

  /**
   * Opens the journal in a run's folder, creating both, and hands every record in it to `replay`. A last line that was
   * torn by a crash is cut off: the act it announced never began.
   */
  static open(folder: string, replay: (record: JournalRecord) => void): Journal {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const descriptor = openSync(join(folder, JOURNAL_FILE), "a+", 0o600);
    try {
      const intact = readRecords(descriptor, replay);
      if (intact < fstatSync(descriptor).size) ftruncateSync(descriptor, intact);
      syncFolder(folder);
      return new Journal(descriptor, intact);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }

  /** Throws when it cannot be written, such as ENOSPC; then the journal is as it was before. */
  append(record: JournalRecord): void {
    // The descriptor's number may already belong to another file.
    if (this.#closed) throw new Error(`the journal is closed: "${record.type}" was not written`);
    const line = Buffer.from(`${JSON.stringify(record)}\n`);
    try {
      for (let written = 0; written < line.length; ) written += writeSync(this.#descriptor, line, written);
    } catch (error) {
      ftruncateSync(this.#descriptor, this.#size);
      throw error;
    }
    this.#size += line.length;
    this.#dirty = true;
  }

  /** Makes what was appended so far survive a power cut. */
  async sync(): Promise<void> {
    if (!this.#dirty || this.#closed) return;
    this.#dirty = false;
    try {
      await fdatasyncAsync(this.#descriptor);
    } catch (error) {
      // Closed in the meantime: the run is finished and its journal about to be deleted.
      if (!this.#closed) throw error;
    }
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#descriptor);
  }
}

/** Reads line by line in constant memory; returns the offset behind the last intact record. */
function readRecords(descriptor: number, replay: (record: JournalRecord) => void): number {
  const chunk = Buffer.allocUnsafe(Math.min(READ_CHUNK_BYTES, fstatSync(descriptor).size));
  let carry: Buffer[] = [];
  let intact = 0;
  for (let position = 0; ; ) {
    const count = chunk.length === 0 ? 0 : readSync(descriptor, chunk, 0, chunk.length, position);
    if (count === 0) return intact;
    position += count;
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0 && end < count; end = chunk.indexOf(NEWLINE, start)) {
      const line = Buffer.concat([...carry, chunk.subarray(start, end)]);
      const record = parseRecord(line);
      if (record === null) return intact;
      replay(record);
      intact += line.length + 1;
      carry = [];
      start = end + 1;
    }
    carry.push(Buffer.from(chunk.subarray(start, count)));
  }
}

function parseRecord(line: Buffer): JournalRecord | null {
  try {
    return JSON.parse(line.toString("utf8")) as JournalRecord;
  } catch {
    return null;
  }
}
