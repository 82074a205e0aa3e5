import { closeSync, readSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { openControlFile } from "../../shim/control-file.ts";
import type { LogOptions } from "../execution-backend.ts";

/** Large enough for full speed, small enough that a slow consumer costs nothing. */
const CHUNK_BYTES = 128 * 1024;
/** The page cache answers at once; without a turn of the event loop in between, a huge log would be all that runs. */
const CHUNKS_PER_TURN = 16;

export interface LogSource {
  readonly path: string;
  /** Whether nothing will be written any more. Asked before each read, so that the last bytes are never missed. */
  ended(): boolean;
  /** Resolves when something may have been written, or the attempt may have ended, and when aborted. */
  changed(signal: AbortSignal | undefined): Promise<void>;
}

/** The bytes of a log file from an offset on; the specification is that of `BackendSession.logs`. */
export async function* followLog(source: LogSource, options: LogOptions): AsyncGenerator<Uint8Array> {
  const { follow, signal } = options;
  let position = options.offset;
  let chunks = 0;
  let file: number | null = null;
  try {
    for (;;) {
      signal?.throwIfAborted();
      const last = !follow || source.ended();
      file ??= openControlFile(source.path);
      for (let chunk = readChunk(file, position); chunk !== null; chunk = readChunk(file, position)) {
        position += chunk.length;
        yield chunk;
        signal?.throwIfAborted();
        if (++chunks % CHUNKS_PER_TURN === 0) await setImmediate();
      }
      if (last) return;
      await source.changed(signal);
    }
  } finally {
    if (file !== null) closeSync(file);
  }
}

/** Null at what is the end for now, and while there is no file. */
function readChunk(file: number | null, position: number): Uint8Array | null {
  if (file === null) return null;
  const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  const count = readSync(file, buffer, 0, CHUNK_BYTES, position);
  return count === 0 ? null : buffer.subarray(0, count);
}
