import { setTimeout as sleep } from "node:timers/promises";
import type { Services } from "../services.ts";
import { enforceDeadlines } from "./deadlines.ts";
import { RECOVERY_AFTER_MS, reap } from "./reap.ts";

/** Far below OUTAGE_MS, so that one slow pass is not taken for an outage. */
const REAP_INTERVAL_MS = 5_000;

export interface RunLoopOptions {
  /** How long after its lease ran out a worker is given up, if it does not come back before. */
  readonly recoveryAfterMs?: number;
}

/** Starts what the server does for runs by itself; disposing waits for what is under way. */
export function startRunLoops(services: Services, options: RunLoopOptions = {}): AsyncDisposable {
  const stop = new AbortController();
  const done = reapLoop(services, options.recoveryAfterMs ?? RECOVERY_AFTER_MS, stop.signal);
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await done;
    },
  };
}

async function reapLoop(services: Services, recoveryAfterMs: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await reap(services, { recoveryAfterMs });
      await enforceDeadlines(services);
    } catch (error) {
      // The database may be away for a while; the passes that are missed are what tells of the outage afterwards.
      services.log.warn(
        { err: error },
        "looking for lost workers and for what is out of time failed; it is tried again",
      );
    }
    // Replicas drift apart, so that their passes are spread.
    await sleep(REAP_INTERVAL_MS * (0.8 + 0.4 * Math.random()), undefined, { signal }).catch(() => {});
  }
}
