import type { LogRecord, LogRecordLine } from "./log-record.ts";
import type { LogLine } from "./resources.ts";

/** A whole line of a step's log. */
export interface TextLine extends Pick<LogLine, "stepRun" | "attempt" | "epoch" | "stream" | "offset" | "at"> {
  /** Without its end. */
  readonly text: string;
}

interface Stream extends Pick<LogLine, "stepRun" | "attempt" | "epoch" | "stream"> {
  /** Offset of the next byte that was not seen yet. */
  next: number;
  /** What was seen of a line that has no end yet, and when. */
  partial: Buffer;
  at: string;
}

/** A line without an end is shown in pieces of this size, rather than gathered without limit. */
const PARTIAL_MAX_BYTES = 64 * 1024;
const LINE_FEED = 0x0a;

/** A chunk of a log, as bytes. */
export interface LogBytes extends Pick<LogLine, "stepRun" | "attempt" | "epoch" | "stream" | "offset" | "at"> {
  readonly bytes: Buffer;
}

/**
 * Makes lines of log chunks, which may end anywhere and, after a reconnection, come again: what was seen already is
 * skipped by its offset.
 */
export class LogLines {
  readonly #streams = new Map<string, Stream>();

  add({ data, ...chunk }: LogLine): TextLine[] {
    return this.addBytes({ ...chunk, bytes: Buffer.from(data, "base64") });
  }

  addBytes({ bytes, offset, at, ...name }: LogBytes): TextLine[] {
    const stream = this.#streamOf(name, offset);
    const fresh = bytes.subarray(Math.max(0, stream.next - offset));
    stream.next = Math.max(stream.next, offset + bytes.length);
    stream.at = at;
    const pending = stream.partial.length === 0 ? fresh : Buffer.concat([stream.partial, fresh]);
    const first = stream.next - pending.length;
    const lines: TextLine[] = [];
    let start = 0;
    for (let end = pending.indexOf(LINE_FEED); end >= 0; end = pending.indexOf(LINE_FEED, start)) {
      lines.push(toLine(stream, first + start, pending.subarray(start, end)));
      start = end + 1;
    }
    // A copy: the rest of a line must not hold on to all of what came before it.
    stream.partial = Buffer.from(pending.subarray(start));
    if (stream.partial.length > PARTIAL_MAX_BYTES) lines.push(this.#piece(stream));
    return lines;
  }

  /** What is left when nothing more comes: last lines without an end. */
  flush(): TextLine[] {
    const rest = [...this.#streams.values()].filter((stream) => stream.partial.length > 0);
    return rest.map((stream) => {
      const line = toLine(stream, stream.next - stream.partial.length, stream.partial);
      stream.partial = Buffer.alloc(0);
      return line;
    });
  }

  /** All of an unended line but for the bytes of a last character that is not whole. */
  #piece(stream: Stream): TextLine {
    const { partial } = stream;
    let cut = partial.length;
    while (cut > partial.length - 4 && isContinuation(partial[cut - 1]!)) cut -= 1;
    if (cut > 0 && partial[cut - 1]! >= 0xc0) cut -= 1;
    const line = toLine(stream, stream.next - partial.length, partial.subarray(0, cut));
    stream.partial = partial.subarray(cut);
    return line;
  }

  #streamOf({ stepRun, attempt, epoch, stream }: Omit<LogBytes, "bytes" | "offset" | "at">, offset: number): Stream {
    // A recovered run may run an attempt again under a new epoch: its streams begin at 0 again.
    const key = JSON.stringify([stepRun, attempt, epoch, stream]);
    let known = this.#streams.get(key);
    if (known === undefined) {
      // Where only the last lines are asked for, it begins further on.
      known = { stepRun, attempt, epoch, stream, next: offset, partial: Buffer.alloc(0), at: "" };
      this.#streams.set(key, known);
    }
    return known;
  }
}

/** A byte of a character's rest, in UTF-8. */
function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}

function toLine({ stepRun, attempt, epoch, stream, at }: Stream, offset: number, bytes: Buffer): TextLine {
  return { stepRun, attempt, epoch, stream, at, offset, text: bytes.toString("utf8").replace(/\r$/, "") };
}

export function toRecordLine({ text, ...place }: TextLine, record: LogRecord | null): LogRecordLine {
  if (record === null) return { ...place, level: null, message: text, fields: null };
  const { level, message, fields, at } = record;
  return { ...place, at: at ?? place.at, level, message, fields };
}
