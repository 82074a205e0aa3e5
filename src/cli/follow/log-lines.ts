import type { LogLine } from "../../protocol/resources.ts";

/** A whole line of a step's log. */
export interface TextLine {
  readonly stepRun: string;
  readonly stream: LogLine["stream"];
  readonly text: string;
}

interface Stream {
  readonly stepRun: string;
  readonly stream: LogLine["stream"];
  /** Offset of the next byte that was not seen yet. */
  next: number;
  readonly decoder: InstanceType<typeof TextDecoder>;
  partial: string;
}

/** A line without an end is shown in pieces of this size, rather than gathered without limit. */
const PARTIAL_MAX_CHARACTERS = 64 * 1024;

/**
 * Makes lines of log chunks, which may end anywhere and, after a reconnection, come again: what was seen already is
 * skipped by its offset.
 */
export class LogLines {
  readonly #streams = new Map<string, Stream>();

  /** Whether the chunk holds bytes that were not added yet. */
  isNew(chunk: LogLine): boolean {
    return chunk.offset + Buffer.byteLength(chunk.data, "base64") > this.#streamOf(chunk).next;
  }

  add(chunk: LogLine): TextLine[] {
    const stream = this.#streamOf(chunk);
    const bytes = Buffer.from(chunk.data, "base64");
    const fresh = bytes.subarray(Math.max(0, stream.next - chunk.offset));
    stream.next = Math.max(stream.next, chunk.offset + bytes.length);
    const lines = (stream.partial + stream.decoder.decode(fresh, { stream: true })).split("\n");
    stream.partial = lines.pop()!;
    if (stream.partial.length > PARTIAL_MAX_CHARACTERS) {
      lines.push(stream.partial);
      stream.partial = "";
    }
    return lines.map((text) => toLine(stream, text));
  }

  /** What is left when nothing more comes: last lines without an end. */
  flush(): TextLine[] {
    const rest = [...this.#streams.values()].filter((stream) => stream.partial !== "");
    return rest.map((stream) => {
      const line = toLine(stream, stream.partial);
      stream.partial = "";
      return line;
    });
  }

  #streamOf(chunk: LogLine): Stream {
    // A recovered run may run an attempt again under a new epoch: its streams begin at 0 again.
    const key = JSON.stringify([chunk.stepRun, chunk.attempt, chunk.epoch, chunk.stream]);
    let stream = this.#streams.get(key);
    if (stream === undefined) {
      stream = { stepRun: chunk.stepRun, stream: chunk.stream, next: 0, decoder: new TextDecoder(), partial: "" };
      this.#streams.set(key, stream);
    }
    return stream;
  }
}

function toLine(stream: Stream, text: string): TextLine {
  return { stepRun: stream.stepRun, stream: stream.stream, text: text.replace(/\r$/, "") };
}
