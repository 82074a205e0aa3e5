import { setTimeout } from "node:timers/promises";
import { BackendError } from "../backends/execution-backend.ts";

const FIRST_PAUSE_MS = 100;
const PAUSE_MAX_MS = 5_000;
/** Engines are restarted and upgraded in less; after that the attempt fails and may be tried elsewhere. */
const RETRY_FOR_MS = 2 * 60_000;

/**
 * Repeats a call while the platform does not answer, for a bounded time. Only for calls that may be repeated, which
 * all of a backend's are. Throws the last error, or the signal's reason when it is aborted meanwhile.
 */
export async function retryBackend<T>(call: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  const until = performance.now() + RETRY_FOR_MS;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(PAUSE_MAX_MS, pauseMs * 2)) {
    try {
      return await call();
    } catch (error) {
      const isWorthIt = error instanceof BackendError && error.retryable && performance.now() + pauseMs < until;
      if (!isWorthIt) throw error;
    }
    // Spread, because all attempts of a worker meet the same outage at the same time.
    await setTimeout(pauseMs * (0.5 + Math.random() / 2), undefined, signal === undefined ? {} : { signal });
  }
}
