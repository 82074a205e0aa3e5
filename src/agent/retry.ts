import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { BerthError, type ErrorCode } from "../protocol/errors.ts";

/** First wait after a failure, before jitter. */
const FIRST_DELAY_MS = 100;
/** Longest wait: as long as a heartbeat interval, so that a server that is back hears of us at once. */
const LONGEST_DELAY_MS = 5_000;

/** Codes after which the same request may succeed later. Everything else is an answer. */
const TRANSIENT: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "unavailable",
  "internal",
  "too_many_requests",
  "storage_full",
  "store_misconfigured",
  "signature_expired",
]);

export function isTransient(error: unknown): boolean {
  return error instanceof BerthError && TRANSIENT.has(error.code);
}

/** The wait before try number `failures + 1`: exponential, with full jitter so that a fleet does not come back at once. */
export function backoffMs(failures: number, random: () => number = Math.random): number {
  const ceiling = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(failures - 1, 10));
  return ceiling / 2 + random() * (ceiling / 2);
}

export interface RetryOptions {
  /** What is tried, for the log. */
  readonly what: string;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** Tries until it succeeds, is refused for good, or the signal aborts. Losing the server is normal: it only waits. */
export async function retrying<T>(options: RetryOptions, work: () => Promise<T>): Promise<T> {
  for (let failures = 0; ; ) {
    options.signal.throwIfAborted();
    try {
      const result = await work();
      if (failures > 0) options.log.info({ failures }, `${options.what}: works again`);
      return result;
    } catch (error) {
      if (!isTransient(error) || options.signal.aborted) throw error;
      failures += 1;
      // The first failure and then every tenth: an outage of an hour must not fill the disk with its own log.
      if (failures % 10 === 1)
        options.log.warn({ failures, reason: (error as Error).message }, `${options.what}: waiting`);
      await sleep(retryAfterMs(error) ?? backoffMs(failures), undefined, { signal: options.signal });
    }
  }
}

function retryAfterMs(error: unknown): number | undefined {
  const value = error instanceof BerthError ? error.details?.retryAfterMs : undefined;
  return typeof value === "number" ? value : undefined;
}
