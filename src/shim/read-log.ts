import { closeSync, type FSWatcher, fstatSync, readSync, watch as watchFiles } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { openControlFile } from "./control-file.ts";
import { readRecord } from "./read-record.ts";
import { CTL } from "./shim.ts";

/** One read: large enough that 100 MB are a few hundred of them. */
const CHUNK_BYTES = 256 * 1024;
/** How late a followed byte may be. The end of the attempt is noticed at once, by watching. */
const POLL_INTERVAL_MS = 100;
/** How often a follower asks whether the attempt ended without a record, which costs a call to the platform. */
const ENDED_CHECK_INTERVAL_MS = 1000;

export interface ReadLogOptions {
  readonly offset: number;
  readonly follow: boolean;
  readonly signal?: AbortSignal | undefined;
  /** Asked now and then while there is no record: whether the attempt is over all the same. */
  readonly ended: () => Promise<boolean>;
}

/**
 * The bytes of one stream from `offset` on, exactly as the step wrote them. With `follow` it goes on until there is a
 * record (or `ended` says so) and all was read; without, until all was read that is there. Abort ends it with the
 * signal's reason.
 */
export async function* readLog(
  ctl: string,
  stream: "stdout" | "stderr",
  { offset, follow, signal, ended }: ReadLogOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  let watch: EndWatch | null = null;
  let fd: number | null = null;
  let position = offset;
  let endedCheckAtMs = performance.now() + ENDED_CHECK_INTERVAL_MS;
  try {
    for (;;) {
      signal?.throwIfAborted();
      // Looked at before reading: nothing is written after the record, so the read that follows is the last.
      let over = !follow || readRecord(ctl) !== null;
      if (!over && performance.now() >= endedCheckAtMs) {
        over = await ended();
        endedCheckAtMs = performance.now() + ENDED_CHECK_INTERVAL_MS;
      }
      fd ??= openControlFile(join(ctl, CTL[stream]));
      for (let chunk = next(fd, position); chunk !== null; chunk = next(fd, position)) {
        position += chunk.length;
        yield chunk;
        signal?.throwIfAborted();
        await setImmediate(); // Reading is synchronous: a long log must not keep everything else waiting.
      }
      if (over) return;
      // Looked at once more before the first wait, so that an end before the watch began is not missed.
      if (watch === null) watch = new EndWatch(ctl, signal);
      else await watch.changeOrTimeout(POLL_INTERVAL_MS);
    }
  } finally {
    watch?.[Symbol.dispose]();
    if (fd !== null) closeSync(fd);
  }
}

/** The next bytes, or null when there are none (yet). */
function next(fd: number | null, position: number): Uint8Array | null {
  if (fd === null || fstatSync(fd).size <= position) return null;
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  const count = readSync(fd, chunk, 0, CHUNK_BYTES, position);
  if (count === 0) return null;
  // What is not full is copied: it would hold on to the whole.
  return count < CHUNK_BYTES ? Buffer.from(chunk.subarray(0, count)) : chunk;
}

/** Wakes a waiter when something appears in the `end` folder. Where watching fails, the time-out is all there is. */
class EndWatch implements Disposable {
  readonly #watcher: FSWatcher | null;
  readonly #signal: AbortSignal | undefined;
  #wake: () => void = () => {};
  #changed = false;

  constructor(ctl: string, signal: AbortSignal | undefined) {
    this.#watcher = watchFolder(join(ctl, CTL.end), this.#onChange);
    this.#signal = signal;
    signal?.addEventListener("abort", this.#onChange);
  }

  async changeOrTimeout(timeoutMs: number): Promise<void> {
    if (!this.#changed && !this.#signal?.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = setTimeout(resolve, timeoutMs);
      await promise;
      clearTimeout(timer);
    }
    this.#changed = false;
  }

  readonly #onChange = (): void => {
    this.#changed = true;
    this.#wake();
  };

  [Symbol.dispose](): void {
    this.#watcher?.close();
    this.#signal?.removeEventListener("abort", this.#onChange);
  }
}

function watchFolder(folder: string, onChange: () => void): FSWatcher | null {
  try {
    const watcher = watchFiles(folder, { persistent: false }, onChange);
    watcher.on("error", () => watcher.close());
    return watcher;
  } catch {
    return null;
  }
}
