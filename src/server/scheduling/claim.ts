import type { Assignment, LeaseRef, PollRequest, PollResponse } from "../../protocol/agent-api.ts";
import type { Permits } from "../../std/permits.ts";
import type { Services } from "../services.ts";
import { lockWorker, type WorkerOffer } from "../store/boots.ts";
import type { Database, Queryable } from "../store/database.ts";
import { insertEvents } from "../store/events.ts";
import { activeRunsOf, grantedLeases, type HeldRun, leasesWithout } from "../store/leases.ts";
import { limitingBackends } from "../store/limiting-backends.ts";
import type { Asking } from "../store/placement.ts";
import { priorStepRuns } from "../store/prior.ts";
import { claimQueuedRuns, isRunWaiting, type Offer, ordersOf, type Placement, type RunOrder } from "../store/queue.ts";
import { choosePlacement } from "./placement.ts";

/** Who polls: one process of one worker's agent. */
export interface Poller {
  readonly worker: string;
  readonly boot: string;
}

export interface Look {
  readonly answer: PollResponse;
  /** Whether there was something that is left to other workers for a moment. */
  readonly left: boolean;
}

/**
 * One look at what there is for an agent: runs to take, cancels to hear of, leases that it lost. With `leaves`, runs for
 * which a better worker asks are left to it.
 */
export async function answerPoll(
  { database, wakeups, claims }: Pick<Services, "database" | "wakeups"> & { readonly claims: Permits },
  poller: Poller,
  offer: WorkerOffer,
  { freeSlots, held, knownCancels }: PollRequest,
  leaves: boolean,
): Promise<Look> {
  const { worker } = poller;
  const asking = { worker, held: held.length, free: freeSlots };
  const { claimed, left } =
    freeSlots > 0 && !offer.draining
      ? await claimWaiting(database, { claims, leaves }, poller, offer, asking)
      : { claimed: [], left: false };
  for (const { run } of claimed) wakeups.notify(`run:${run}`);
  const known = new Set(knownCancels);
  const granted = await grantedLeases(database.pool, worker, held);
  const answer = {
    assignments: await assign(database.pool, claimed),
    cancel: cancelsOf(granted).filter(({ run }) => !known.has(run)),
    lost: leasesWithout(held, granted),
  };
  return { answer, left };
}

export function isEmptyAnswer({ assignments, cancel, lost }: PollResponse): boolean {
  return assignments.length + cancel.length + lost.length === 0;
}

/** The cancels among a worker's runs, in the shape in which the agent hears of them. */
export function cancelsOf(held: readonly HeldRun[]): PollResponse["cancel"] {
  return held.flatMap(({ run, epoch, cancel }) => (cancel === null ? [] : [{ run, epoch, ...cancel }]));
}

async function claimWaiting(
  database: Database,
  { claims, leaves }: { readonly claims: Permits; readonly leaves: boolean },
  poller: Poller,
  offer: WorkerOffer,
  asking: Asking,
): Promise<{ readonly claimed: readonly LeaseRef[]; readonly left: boolean }> {
  using _permit = await claims.acquire();
  if (!(await isRunWaiting(database.pool, toOffer(offer)))) return { claimed: [], left: false };
  const placement: Placement = leaves
    ? await choosePlacement(database.pool, toOffer(offer), asking)
    : { limit: asking.free, left: [] };
  return { claimed: await claimRuns(database, poller, placement), left: placement.left.length > 0 };
}

/**
 * Grants leases. The worker's row is locked first: a newer process of its agent, or a second poll, comes before or after,
 * so that slots are counted here and never given twice.
 */
async function claimRuns(database: Database, { worker, boot }: Poller, placement: Placement): Promise<LeaseRef[]> {
  return database.transaction(async (client) => {
    const offer = await lockWorker(client, worker, boot);
    if (offer.draining) return [];
    const active = await activeRunsOf(client, worker);
    const limit = Math.min(placement.limit, offer.capabilities.slots - active.length);
    if (limit <= 0) return [];
    const claimed = await claimQueuedRuns(client, worker, toOffer(offer), { ...placement, limit });
    for (const { run, epoch, project, seq } of claimed) {
      const body = { type: "run.leased", worker, workerName: offer.name, epoch } as const;
      await insertEvents(client, { id: run, project, lastSeq: seq - 1 }, [{ at: null, body }]);
    }
    return claimed;
  });
}

function toOffer({ project, pool, labels, capabilities }: WorkerOffer): Offer {
  const { cpus, memoryBytes, gpus, diskFreeBytes, diskNeededBytes = 0 } = capabilities;
  return {
    ...{ project, pool, labels, backends: Object.keys(capabilities.backends) },
    ...{ cpus, memoryBytes, gpus: gpus.length, diskBytes: Math.max(0, diskFreeBytes - diskNeededBytes) },
    limiting: limitingBackends(capabilities.backends),
  };
}

async function assign(db: Queryable, claimed: readonly LeaseRef[]): Promise<Assignment[]> {
  const orders = await ordersOf(db, claimed);
  return Promise.all(orders.map((order) => toAssignment(db, order)));
}

async function toAssignment(db: Queryable, { restarted, ...order }: RunOrder): Promise<Assignment> {
  return { ...order, prior: order.epoch === 1 && !restarted ? [] : await priorStepRuns(db, order.run) };
}
