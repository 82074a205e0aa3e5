import { z } from "zod";
import { Fault } from "./faults.ts";
import { idOf } from "./ids.ts";
import { Name } from "./names.ts";
import { ListedRun } from "./run-lists.ts";

/** `GET /overview`: how a project is doing. */

export const OVERVIEW_HOURS_MAX = 24 * 31;
/** Parts into which its time is divided. */
export const OVERVIEW_BUCKETS = 24;
/** Live runs are counted up to this: that many means that many or more. */
export const LIVE_COUNT_MAX = 1_000;

export const OverviewQuery = z.object({ hours: z.coerce.number().int().min(1).max(OVERVIEW_HOURS_MAX).default(24) });

/** How runs ended in some time. Times are medians, and what 95 of 100 runs did not exceed; null where there were none. */
export const EndedRuns = z.object({
  succeeded: z.int(),
  failed: z.int(),
  cancelled: z.int(),
  /** Of those that succeeded or failed; null where none did. */
  successRate: z.number().nullable(),
  /** From the request to the first worker. */
  queueMs: z.object({ median: z.number(), p95: z.number() }).nullable(),
  /** From there to the end. */
  durationMs: z.object({ median: z.number(), p95: z.number() }).nullable(),
});
export type EndedRuns = z.infer<typeof EndedRuns>;

/** A pipeline whose newest run that succeeded or failed has failed. */
export const FailingPipeline = z.object({
  pipeline: Name,
  run: z.object({ id: idOf("run"), number: z.int(), finishedAt: z.iso.datetime() }),
  fault: Fault.nullable(),
  /** How many of its runs failed one after the other; at most those among its newest 50. */
  failedInARow: z.int(),
});
export type FailingPipeline = z.infer<typeof FailingPipeline>;

/** Queued runs that wait for the same, among the oldest. */
export const WaitingRuns = z.object({
  summary: z.string(),
  possible: z.boolean(),
  count: z.int(),
  /** The one that waits longest. */
  oldest: ListedRun.pick({ id: true, pipeline: true, number: true, createdAt: true }),
});
export type WaitingRuns = z.infer<typeof WaitingRuns>;

export const Overview = z.object({
  at: z.iso.datetime(),
  /** How many there are now, each up to LIVE_COUNT_MAX. */
  live: z.object({ queued: z.int(), running: z.int(), cancelling: z.int() }),
  /** The newest failures first. */
  failing: z.array(FailingPipeline),
  /** What most wait for first; of the oldest queued runs. */
  waiting: z.array(WaitingRuns),
  /** From `from` on, and in each part of that time. `complete` is false where so many ended that only the newest are counted. */
  from: z.iso.datetime(),
  bucketMs: z.int(),
  complete: z.boolean(),
  ended: EndedRuns,
  buckets: z.array(EndedRuns.extend({ from: z.iso.datetime() })),
});
export type Overview = z.infer<typeof Overview>;
