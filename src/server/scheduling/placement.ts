import type { Queryable } from "../store/database.ts";
import { type Asking, isAnotherAsking, runsBetterElsewhere } from "../store/placement.ts";
import type { Offer, Placement } from "../store/queue.ts";

/**
 * How long a run is left to a worker that is a better place for it and asks as well: it looks at once when a run is
 * submitted, and has taken it within a few milliseconds; this covers a slow server or database.
 */
export const YIELD_MS = 150;

/**
 * Where several workers ask, each takes one run, asks again, and by then is weighed anew: so that the first to look does
 * not take all. A worker that asks alone takes what it can, at once.
 */
export async function choosePlacement(db: Queryable, offer: Offer, asking: Asking): Promise<Placement> {
  if (!(await isAnotherAsking(db, asking.worker, offer))) return { left: [], limit: asking.free };
  return { left: await runsBetterElsewhere(db, offer, asking), limit: 1 };
}
