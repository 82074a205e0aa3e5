import { setTimeout as sleep } from "node:timers/promises";
import type { Services } from "../services.ts";
import type { Database } from "../store/database.ts";
import { isSweepDue, noteSweep } from "../store/sweeps.ts";
import { BLOB_GRACE_MS, collect } from "./collect.ts";
import { sampleUsage } from "./sample-usage.ts";
import { NAMELESS_AFTER_MS, sweepObjects } from "./sweep-objects.ts";

/** How late a version may go. */
const INTERVAL_MS = 10 * 60_000;
/** A restart of a server is no reason to look at once; and what starts together does not look together. */
const FIRST_AFTER_MS = 30_000;
/** Listing every object may take long, and cost money. */
const SWEEP_INTERVAL_MS = 24 * 60 * 60_000;
/** Who holds it collects, and no server beside it. Any number, as long as nothing else in this database uses it. */
export const COLLECTOR_LOCK = 7_274_827_003;

type Parts = Pick<Services, "database" | "objects" | "log">;

export interface CollectorTimes {
  readonly firstAfterMs?: number;
  readonly intervalMs?: number;
}

/** Starts what removes artifacts and bytes by itself; one replica at a time. Disposing ends a pass between two batches. */
export function startCollector(services: Parts, times: CollectorTimes = {}): AsyncDisposable {
  const stop = new AbortController();
  const done = loop(services, times, stop.signal);
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await done;
    },
  };
}

async function loop(
  services: Parts,
  { firstAfterMs = FIRST_AFTER_MS, intervalMs = INTERVAL_MS }: CollectorTimes,
  signal: AbortSignal,
): Promise<void> {
  await pause(firstAfterMs, signal);
  while (!signal.aborted) {
    try {
      await alone(services.database, () => pass(services, signal));
    } catch (error) {
      if (!signal.aborted) services.log.warn({ err: error }, "removing what has expired failed; it is tried again");
    }
    await pause(intervalMs, signal);
  }
}

async function pass(services: Parts, signal: AbortSignal): Promise<void> {
  const { database, log } = services;
  const { done: _, ...collected } = await collect(services, { project: null, graceMs: BLOB_GRACE_MS, rest: 1, signal });
  if (collected.expired > 0 || collected.blobs > 0) log.info(collected, "removed what has expired, and unused blobs");
  if (!signal.aborted) {
    // What is only for people to look at keeps nothing else from being done.
    await sampleUsage(database).catch((error: unknown) => {
      log.warn({ err: error }, "how much there is in the store could not be written down; it is tried again");
    });
  }
  if (signal.aborted || !(await isSweepDue(database.pool, SWEEP_INTERVAL_MS))) return;
  const options = { project: null, olderThanMs: NAMELESS_AFTER_MS, dryRun: false, signal };
  const swept = await sweepObjects(services, options);
  if (signal.aborted) return;
  await noteSweep(database.pool);
  if (swept.objects > 0) log.info(swept, "removed objects that no blob names");
}

/** Runs `work` unless another replica does. The lock is one of the connection: whoever dies lets it go. */
async function alone(database: Database, work: () => Promise<void>): Promise<void> {
  const client = await database.pool.connect();
  let broken = true;
  try {
    const { rows } = await client.query<{ mine: boolean }>("SELECT pg_try_advisory_lock($1) AS mine", [COLLECTOR_LOCK]);
    if (rows[0]!.mine) {
      await work();
      await client.query("SELECT pg_advisory_unlock($1)", [COLLECTOR_LOCK]);
    }
    broken = false;
  } finally {
    client.release(broken);
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms * (0.8 + 0.4 * Math.random()), undefined, { signal, ref: false }).catch(() => {});
}
