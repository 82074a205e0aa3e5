import type { Queryable } from "../store/database.ts";
import { unpackLog } from "../store/log-packing.ts";
import { type LogFilter, listLogChunks } from "../store/logs.ts";

/** However long the lines are, no more than this is searched for their beginnings. */
const SEARCHED_MAX_BYTES = 32 * 1024 * 1024;
const LINE_FEED = 0x0a;

/** Where reading begins. */
export interface LogStart {
  /** Arrival number after which chunks are read; 0 is the beginning. */
  readonly after: number;
  /** Bytes of the (one) stream to leave out; 0 where there are several. */
  readonly offset: number;
  /** Bytes of the first chunk to leave out. */
  readonly first?: { readonly arrival: number; readonly skip: number };
}

/** The place before the last `lines` lines, found from the end backwards. */
export async function tailStart(db: Queryable, filter: LogFilter, lines: number): Promise<LogStart> {
  let before = Number.MAX_SAFE_INTEGER;
  let wanted = lines;
  let searched = 0;
  let isLast = true;
  for (;;) {
    const chunks = await listLogChunks(db, filter, before, "backward");
    if (chunks.length === 0) return { after: 0, offset: 0 };
    for (const chunk of chunks) {
      const { arrival } = chunk;
      if (wanted === 0) return { after: arrival, offset: 0 };
      const bytes = await unpackLog(chunk.data, chunk.end - chunk.start);
      // The line feed at the very end ends the last line; it begins none.
      let end = isLast && bytes.at(-1) === LINE_FEED ? bytes.length - 1 : bytes.length;
      isLast = false;
      for (let at = lineFeedBefore(bytes, end); at >= 0; at = lineFeedBefore(bytes, end)) {
        wanted -= 1;
        if (wanted === 0) return { after: arrival - 1, offset: 0, first: { arrival, skip: at + 1 } };
        end = at;
      }
      searched += bytes.length;
      if (searched > SEARCHED_MAX_BYTES) return { after: arrival - 1, offset: 0 };
      before = arrival;
    }
  }
}

function lineFeedBefore(bytes: Buffer, end: number): number {
  return end === 0 ? -1 : bytes.lastIndexOf(LINE_FEED, end - 1);
}
