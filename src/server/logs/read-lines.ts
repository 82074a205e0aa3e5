import { LOG_LINE_MAX_BYTES } from "../../protocol/log-windows.ts";
import { countLineFeeds, LINE_FEED } from "../../std/line-feeds.ts";
import type { Queryable } from "../store/database.ts";
import { chunkBefore, type LogPlace } from "../store/log-counts.ts";
import { unpackLog } from "../store/log-packing.ts";
import { type LogFilter, listLogChunks, type StoredLogChunk } from "../store/logs.ts";

/** A chunk of a log as it is read for its lines. */
export interface ReadChunk {
  readonly chunk: StoredLogChunk;
  readonly bytes: Buffer;
  /** Lines of the log that end before it, and in it. */
  readonly before: number;
  readonly lines: number;
  /** What its first line began with in the chunks before, no more than LOG_LINE_MAX_BYTES of it. */
  readonly head: Head;
}

/** The beginning of a line whose end has not come yet. */
export interface Head {
  readonly bytes: Buffer;
  /** Of its first byte within its stream. */
  readonly offset: number;
  /** When the last of it arrived. */
  readonly at: Date;
}

/** Reads a log chunk by chunk from a place on, and keeps of each stream how its next line begins. */
export class LogReader {
  readonly #db: Queryable;
  readonly #filter: LogFilter;
  readonly #heads = new Map<string, { readonly chunk: StoredLogChunk; readonly head: Head }>();

  constructor(db: Queryable, filter: LogFilter) {
    this.#db = db;
    this.#filter = filter;
  }

  async *from({ arrival, before: linesBefore }: LogPlace): AsyncGenerator<ReadChunk> {
    let last = arrival - 1;
    let before = linesBefore;
    for (;;) {
      const chunks = await listLogChunks(this.#db, this.#filter, last);
      for (const chunk of chunks) {
        const bytes = await unpackLog(chunk.data, chunk.end - chunk.start);
        const head = await this.#headOf(chunk);
        const own = chunk.lines ?? countLineFeeds(bytes);
        yield { chunk, bytes, before, lines: own, head };
        before += own;
        last = chunk.arrival;
        this.#heads.set(streamOf(chunk), { chunk, head: headAfter(head, chunk, bytes) });
      }
      if (chunks.length === 0) return;
    }
  }

  /** What has no end of line yet, after all was read. */
  get open(): readonly { readonly chunk: StoredLogChunk; readonly head: Head }[] {
    return [...this.#heads.values()].filter(({ head }) => head.bytes.length > 0);
  }

  async #headOf(chunk: StoredLogChunk): Promise<Head> {
    const known = this.#heads.get(streamOf(chunk));
    if (known !== undefined) return known.head;
    const pieces: Buffer[] = [];
    let size = 0;
    let first = chunk;
    while (first.start > 0 && size < LOG_LINE_MAX_BYTES) {
      const previous = await chunkBefore(this.#db, this.#filter.run, first);
      if (previous === null) break;
      const bytes = await unpackLog(previous.data, previous.end - previous.start);
      const start = bytes.lastIndexOf(LINE_FEED) + 1;
      pieces.unshift(bytes.subarray(start));
      size += bytes.length - start;
      first = previous;
      if (start > 0) break;
    }
    return { bytes: Buffer.concat(pieces).subarray(0, LOG_LINE_MAX_BYTES), offset: chunk.start - size, at: chunk.at };
  }
}

function headAfter(head: Head, { start, at }: StoredLogChunk, bytes: Buffer): Head {
  const next = bytes.lastIndexOf(LINE_FEED) + 1;
  // Copies: the rest of a line must not hold on to all of what came before it.
  if (next > 0) {
    const rest = bytes.subarray(next, next + LOG_LINE_MAX_BYTES);
    return { bytes: Buffer.from(rest), offset: start + next, at };
  }
  const room = LOG_LINE_MAX_BYTES - head.bytes.length;
  return { bytes: Buffer.concat([head.bytes, bytes.subarray(0, room)]), offset: head.offset, at };
}

function streamOf({ stepRun, attempt, epoch, stream }: StoredLogChunk): string {
  return JSON.stringify([stepRun, attempt, epoch, stream]);
}
