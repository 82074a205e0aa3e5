import { setTimeout as sleep } from "node:timers/promises";
import type { Services } from "../services.ts";
import { enforceDeadlines } from "./deadlines.ts";
import { fireSchedules } from "./fire-schedules.ts";
import { giveAllPlaces } from "./places.ts";
import { RECOVERY_AFTER_MS, reap } from "./reap.ts";

/** Far below OUTAGE_MS, so that one slow pass is not taken for an outage. */
const REAP_INTERVAL_MS = 5_000;
/** How late a schedule may be. */
const SCHEDULE_INTERVAL_MS = 1_000;
/** While more are due than one pass looks at. */
const BUSY_INTERVAL_MS = 20;

export interface RunLoopOptions {
  /** How long after its lease ran out a worker is given up, if it does not come back before. */
  readonly recoveryAfterMs?: number;
}

/** Starts what the server does for runs by itself; disposing waits for what is under way. */
export function startRunLoops(services: Services, options: RunLoopOptions = {}): AsyncDisposable {
  const stop = new AbortController();
  const done = Promise.all([
    reapLoop(services, options.recoveryAfterMs ?? RECOVERY_AFTER_MS, stop.signal),
    scheduleLoop(services, stop.signal),
  ]);
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
      await giveAllPlaces(services);
    } catch (error) {
      // The database may be away for a while; the passes that are missed are what tells of the outage afterwards.
      services.log.warn(
        { err: error },
        "looking for lost workers and for what is out of time failed; it is tried again",
      );
    }
    await pause(REAP_INTERVAL_MS, signal);
  }
}

async function scheduleLoop(services: Services, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    let waitMs = SCHEDULE_INTERVAL_MS;
    try {
      if (await fireSchedules(services)) waitMs = BUSY_INTERVAL_MS;
    } catch (error) {
      waitMs = REAP_INTERVAL_MS;
      services.log.warn({ err: error }, "looking for schedules that are due failed; it is tried again");
    }
    await pause(waitMs, signal);
  }
}

/** Replicas drift apart, so that their passes are spread. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms * (0.8 + 0.4 * Math.random()), undefined, { signal }).catch(() => {});
}
