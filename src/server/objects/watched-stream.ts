import { Readable } from "node:stream";

/** Read ahead while the store writes: without it, network and disk would take turns. */
const READ_AHEAD_BYTES = 1024 * 1024;

export interface Watch {
  /** Bytes that are to come; undefined where the sender did not say. */
  readonly size: number | undefined;
  /** How long the sender may send nothing while it is waited for. A reader who is slow costs it nothing. */
  readonly idleMs: number;
  /** The error to fail with: of the connection, or for what was found here. */
  readonly failed: (cause: Error) => Error;
}

/** Passes on what comes over a connection, and fails when that breaks off, stalls, or holds more or less than was said. */
export function watchedStream(source: Readable, { size, idleMs, failed }: Watch): Readable {
  let seen = 0;
  let idle: NodeJS.Timeout | undefined;
  const awaited = () => {
    clearTimeout(idle);
    idle = setTimeout(() => watched.destroy(failed(new Error(`nothing came for ${idleMs} ms`))), idleMs);
  };
  const watched = new Readable({
    highWaterMark: READ_AHEAD_BYTES,
    read() {
      awaited();
      source.resume();
    },
    destroy(error, done) {
      clearTimeout(idle);
      source.destroy();
      done(error);
    },
  });
  source.on("data", (chunk: Uint8Array) => {
    seen += chunk.length;
    if (size !== undefined && seen > size) watched.destroy(failed(new Error(`more than the ${size} bytes announced`)));
    else if (watched.push(chunk)) awaited();
    else {
      clearTimeout(idle);
      source.pause();
    }
  });
  source.pause();
  source.on("error", (error) => watched.destroy(failed(error)));
  source.on("end", () => {
    clearTimeout(idle);
    if (size === undefined || seen === size) watched.push(null);
    else watched.destroy(failed(new Error(`${seen} bytes, not the ${size} announced`)));
  });
  source.on("close", () => {
    if (!source.readableEnded) watched.destroy(failed(new Error("the connection was closed early")));
  });
  return watched;
}
