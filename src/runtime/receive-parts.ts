import { appendFileSync, existsSync, readFileSync, statSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { RangeReader } from "./blob-fetcher.ts";
import { NOTES_SUFFIX } from "./blob-folder.ts";

const MiB = 1024 * 1024;
/** Large enough that requests cost little beside their bytes, small enough that a cut costs little, too. */
const PART_BYTES = 16 * MiB;
/** Chunks of a network connection are small; the disk likes writes larger. */
const WRITE_BYTES = 512 * 1024;

/**
 * Fetches a blob part by part, several at once, into a file. Notes beside it say which parts are there, so that a later
 * call, also of another process, fetches the others. The bytes are hashed by the caller.
 */
export async function receiveParts(file: string, size: number, reader: RangeReader): Promise<void> {
  const done = donePartsOf(file);
  await using handle = await open(file, existsSync(file) ? "r+" : "wx", 0o600);
  const failures: unknown[] = [];
  const receiving: Promise<void>[] = [];
  for (let part = 0; part * PART_BYTES < size && failures.length === 0; part++) {
    if (done.has(part)) continue;
    const permit = await reader.acquire();
    const start = part * PART_BYTES;
    const receive = async () => {
      using _ = permit;
      const end = Math.min(start + PART_BYTES, size);
      if (await receivePart(handle, reader, start, end, () => failures.length > 0)) note(file, part);
    };
    receiving.push(receive().catch((error: unknown) => void failures.push(error)));
  }
  await Promise.all(receiving);
  if (failures.length > 0) throw failures[0];
}

/** Bytes from the beginning on that are there without a hole. */
export function receivedPrefix(file: string): number {
  const { size } = statSync(file);
  if (!existsSync(file + NOTES_SUFFIX)) return size;
  const done = donePartsOf(file);
  let part = 0;
  while (done.has(part)) part += 1;
  return Math.min(size, part * PART_BYTES);
}

/** False where it was given up because another part failed. */
async function receivePart(
  handle: FileHandle,
  reader: RangeReader,
  start: number,
  end: number,
  isOver: () => boolean,
): Promise<boolean> {
  let at = start;
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  const write = async () => {
    let rest: Uint8Array[] = held;
    held = [];
    heldBytes = 0;
    while (rest.length > 0) {
      const { bytesWritten } = await handle.writev(rest, at);
      at += bytesWritten;
      rest = behind(rest, bytesWritten);
    }
  };
  for await (const chunk of reader.read(start, end)) {
    if (isOver()) return false;
    held.push(chunk);
    heldBytes += chunk.length;
    if (heldBytes >= WRITE_BYTES) await write();
  }
  await write();
  return true;
}

/** What is left of chunks after their first bytes were written. */
function behind(chunks: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let left = bytes;
  const rest: Uint8Array[] = [];
  for (const chunk of chunks) {
    if (left < chunk.length) rest.push(chunk.subarray(left));
    left = Math.max(0, left - chunk.length);
  }
  return rest;
}

/** A part is noted after its bytes were written. Notes of another size of parts count as none. */
function note(file: string, part: number): void {
  appendFileSync(file + NOTES_SUFFIX, `${PART_BYTES} ${part}\n`, { mode: 0o600 });
}

/** Notes are there before the first byte of a part is: a file without them was written by one stream. */
function donePartsOf(file: string): Set<number> {
  const done = new Set<number>();
  if (!existsSync(file + NOTES_SUFFIX)) {
    const whole = existsSync(file) ? Math.floor(statSync(file).size / PART_BYTES) : 0;
    const notes = Array.from({ length: whole }, (_, part) => `${PART_BYTES} ${part}\n`);
    appendFileSync(file + NOTES_SUFFIX, notes.join(""), { mode: 0o600 });
  }
  for (const line of readFileSync(file + NOTES_SUFFIX, "utf8").split("\n")) {
    const match = /^(\d+) (\d+)$/.exec(line);
    if (match !== null && Number(match[1]) === PART_BYTES) done.add(Number(match[2]));
  }
  return done;
}
