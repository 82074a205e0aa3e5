import { newestTimes, nextTimes, type Recurrence } from "../../pipeline/cron.ts";
import type { CatchUp } from "../../protocol/schedules.ts";

/** A due time that is older when a server sees it was missed: servers look each second, and start again within this. */
export const LATE_MS = 60_000;
/** Due times that one outage can make runs of; of a schedule that is due each minute, those of the last 100 minutes. */
export const CATCH_UP_MAX = 100;

export interface DueTimes {
  /** The first and the last of those that make no run; they may be one. */
  readonly missed: { readonly from: number; readonly until: number } | null;
  /** Those that do, the oldest first. */
  readonly due: readonly number[];
  /** The first one after now; null where there is none any more. */
  readonly next: number | null;
}

/** Of all times from the one that was next until now, those that are to make a run. */
export function dueTimes(
  recurrence: Recurrence & { readonly catchUp: CatchUp },
  nextMs: number,
  nowMs: number,
): DueTimes {
  const [next = null] = nextTimes(recurrence, nowMs, 1);
  // As nearly always: the search backwards takes twenty times as long as the one forwards.
  if (nowMs - nextMs <= LATE_MS && nextTimes(recurrence, nextMs, 1)[0] === (next ?? undefined)) {
    return { missed: null, due: [nextMs], next };
  }
  // One more than can be caught up tells whether there are any before them.
  const newest = newestTimes(recurrence, nowMs, CATCH_UP_MAX + 1).filter((time) => time >= nextMs);
  const due = newest.slice(-CATCH_UP_MAX).filter((time, index, all) => {
    if (recurrence.catchUp === "all" || nowMs - time <= LATE_MS) return true;
    return recurrence.catchUp === "last" && index === all.length - 1;
  });
  const before = newest.filter((time) => !due.includes(time));
  const missed = before.length === 0 ? null : { from: nextMs, until: before.at(-1)! };
  return { missed, due, next };
}
