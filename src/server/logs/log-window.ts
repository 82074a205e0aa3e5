import { toRecordLine } from "../../protocol/log-lines.ts";
import { parseLogRecord } from "../../protocol/log-record.ts";
import {
  LOG_LINE_MAX_BYTES,
  LOG_WINDOW_MAX_CHARS,
  type LogWindow,
  type WindowLine,
} from "../../protocol/log-windows.ts";
import { countLineFeeds, LINE_FEED } from "../../std/line-feeds.ts";
import type { Queryable } from "../store/database.ts";
import { logExtent, noteLineCounts, placeOfChunk, placeOfLine, uncountedChunks } from "../store/log-counts.ts";
import { unpackLog } from "../store/log-packing.ts";
import type { LogFilter, StoredLogChunk } from "../store/logs.ts";
import { LogReader, type ReadChunk } from "./read-lines.ts";

/** Chunks of before lines were counted: unpacked together, at most 4 MiB each. */
const COUNTED_AT_ONCE = 8;

/** Counts the lines of what arrived before lines were counted, once. */
export async function countOldLines(db: Queryable, filter: LogFilter): Promise<void> {
  for (;;) {
    const chunks = await uncountedChunks(db, filter, COUNTED_AT_ONCE);
    if (chunks.length === 0) return;
    const counts = chunks.map(async ({ arrival, data, start, end }) => {
      return { arrival, lines: countLineFeeds(await unpackLog(data, end - start)) };
    });
    await noteLineCounts(db, filter.run, await Promise.all(counts));
  }
}

/** Lines of a log from a number on. Costs a look at the sizes of all chunks, and reading those of the window. */
export async function readWindow(
  db: Queryable,
  filter: LogFilter,
  { from, limit }: { readonly from: number; readonly limit: number },
): Promise<Omit<LogWindow, "ended">> {
  const { lines: total, bytes, lastArrival } = await logExtent(db, filter);
  const first = from < 0 ? Math.max(0, total + from) : Math.min(from, total);
  const lines: WindowLine[] = [];
  const found = { total, bytes, from: first, lines, open: [] };
  if (lastArrival === null) return found;
  const reader = new LogReader(db, filter);
  // Behind the last line there may be something that has no end yet, in what arrived last.
  const place = (await placeOfLine(db, filter, first)) ?? (await placeOfChunk(db, filter.run, lastArrival, total));
  let chars = 0;
  const isFull = () => lines.length === limit || chars > LOG_WINDOW_MAX_CHARS;
  for await (const read of reader.from(place)) {
    // What arrives from now on is for the next window.
    if (read.chunk.arrival > lastArrival) break;
    for (const line of linesOf(read, first)) {
      lines.push(line);
      chars += line.message.length;
      if (isFull()) break;
    }
    if (isFull()) break;
  }
  if (first + lines.length < total) return found;
  const open = reader.open.map(({ chunk, head }) => toLine(chunk, { ...head, length: head.bytes.length }));
  return { ...found, open };
}

/** The lines that end in a chunk, from a number on. */
function* linesOf({ chunk, bytes, before, head }: ReadChunk, from: number): Generator<WindowLine> {
  let start = 0;
  let number = before;
  for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, start)) {
    if (number >= from) {
      const offset = start === 0 ? head.offset : chunk.start + start;
      const own = bytes.subarray(start, Math.min(end, start + LOG_LINE_MAX_BYTES));
      const line = start === 0 ? Buffer.concat([head.bytes, own]) : own;
      yield toLine(chunk, { bytes: line, offset, at: chunk.at, length: chunk.start + end - offset });
    }
    number++;
    start = end + 1;
  }
}

interface LineBytes {
  /** Its beginning, at least. */
  readonly bytes: Buffer;
  readonly offset: number;
  readonly at: Date;
  /** Of all of it. */
  readonly length: number;
}

function toLine(
  { stepRun, attempt, epoch, stream }: StoredLogChunk,
  { bytes, offset, at, length }: LineBytes,
): WindowLine {
  const isCut = length > LOG_LINE_MAX_BYTES;
  const shown = isCut ? withoutTornEnd(bytes.subarray(0, LOG_LINE_MAX_BYTES)) : bytes;
  const text = shown.toString("utf8").replace(/\r$/, "");
  const line = { stepRun, attempt, epoch, stream, offset, at: at.toISOString(), text };
  return { ...toRecordLine(line, parseLogRecord(text)), ...(isCut && { cut: true as const }) };
}

/** Without the bytes of a last character that is not whole. */
function withoutTornEnd(bytes: Buffer): Buffer {
  let end = bytes.length;
  while (end > bytes.length - 4 && (bytes[end - 1]! & 0xc0) === 0x80) end--;
  return bytes.subarray(0, bytes[end - 1]! >= 0xc0 ? end - 1 : end);
}
