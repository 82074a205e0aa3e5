import type { Wakeups } from "../store/wakeups.ts";

/**
 * Says when to look again: at once, then after each wake-up, and after `intervalMs` at the latest, until the signal
 * aborts. Waiting is armed before each look, so what happens during a look is not missed.
 */
export async function* watch(
  wakeups: Wakeups,
  topics: readonly string[],
  intervalMs: number,
  signal: AbortSignal,
): AsyncGenerator<void> {
  while (!signal.aborted) {
    const left = new AbortController();
    const woken = wakeups.wait(topics, intervalMs, AbortSignal.any([signal, left.signal]));
    try {
      yield;
      await woken;
    } finally {
      left.abort();
    }
  }
}
