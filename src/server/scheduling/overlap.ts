import type { Overlap, SkipReason } from "../../protocol/schedules.ts";

/** Due times of one schedule that wait for its runs; a schedule that is always longer than its pause never catches up. */
export const QUEUE_MAX = 100;

/** Runs of one schedule that one transaction makes: a pipeline may have thousands of steps, and others wait meanwhile. */
export const STARTS_MAX = 20;

export type Verdict = "start" | "wait" | Extract<SkipReason, "overlap" | "superseded" | "queue-full">;

/**
 * What becomes of the due times of a schedule that have not made a run yet, the oldest first, while `active` runs of it
 * have not ended.
 */
export function decideOverlap(overlap: Overlap, waiting: number, active: number): Verdict[] {
  return Array.from({ length: waiting }, (_, index) => {
    const isNext = index === 0 && active === 0;
    if (overlap === "allow") return index < STARTS_MAX ? "start" : "wait";
    if (overlap === "skip") return isNext ? "start" : "overlap";
    if (overlap === "queue") return isNext ? "start" : index < QUEUE_MAX ? "wait" : "queue-full";
    overlap satisfies "cancel_older";
    if (index < waiting - 1) return "superseded";
    // Until what it takes the place of has really ended: the two never overlap.
    return active === 0 ? "start" : "wait";
  });
}
