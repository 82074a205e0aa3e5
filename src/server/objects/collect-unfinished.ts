import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";

/** A connection on which nothing moves is closed after minutes: what has not moved for a day is nobody's. */
const UNFINISHED_AFTER_MS = 24 * 60 * 60_000;
const INTERVAL_MS = 60 * 60_000;

/** An object store, or what keeps account of uploads. */
interface Unfinished {
  collectUnfinished(olderThanMs: number): Promise<number>;
}

/** Removes, now and then, what uploads left that ended with their process. Disposing waits for a pass under way. */
export function startCollection(unfinished: Unfinished, log: Pick<Logger, "info" | "warn">): AsyncDisposable {
  const stop = new AbortController();
  const done = collectLoop(unfinished, log, stop.signal);
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await done;
    },
  };
}

async function collectLoop(
  unfinished: Unfinished,
  log: Pick<Logger, "info" | "warn">,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const removed = await unfinished.collectUnfinished(UNFINISHED_AFTER_MS);
      if (removed > 0) log.info({ removed }, "removed uploads that were never finished");
    } catch (error) {
      log.warn({ err: error }, "removing unfinished uploads failed; it is tried again");
    }
    await sleep(INTERVAL_MS, undefined, { signal, ref: false }).catch(() => {});
  }
}
