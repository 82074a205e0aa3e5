import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";

/** How often a journal that could not be written is tried again: somebody has to make room first. */
const RETRY_INTERVAL_MS = 1_000;

/**
 * Writes to the journal, and when the disk is full waits until there is room: nothing is done that is not written down.
 * Where it can be written at once, which is always but then, the act is over when this returns its promise.
 */
export async function durably(
  write: () => void,
  options: { readonly signal: AbortSignal; readonly log: Logger },
): Promise<void> {
  for (let failures = 0; ; failures++) {
    try {
      write();
      if (failures > 0) options.log.info({ failures }, "the journal can be written again");
      return;
    } catch (error) {
      if (!isFull(error)) throw error;
      if (failures === 0) options.log.error({ err: error }, "the disk is full: this run waits until there is room");
      await sleep(RETRY_INTERVAL_MS, undefined, { signal: options.signal });
    }
  }
}

function isFull(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOSPC" || code === "EDQUOT";
}
