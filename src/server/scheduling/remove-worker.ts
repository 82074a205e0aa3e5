import type { LeaseRef } from "../../protocol/agent-api.ts";
import { BerthError } from "../../protocol/errors.ts";
import type { Services } from "../services.ts";
import { recordAudit } from "../store/audit.ts";
import { leasesOfWorker } from "../store/leases.ts";
import { lockWorkerToRemove, markRemoved } from "../store/workers.ts";
import { passPlacesOn } from "./places.ts";
import { releaseRun } from "./release.ts";

/** Runs named in a refusal; there may be a thousand. */
const RUNS_NAMED = 10;

export interface RemoveRequest {
  readonly project: string;
  /** Id or name. */
  readonly worker: string;
  /** Take its runs away from it, too. */
  readonly force: boolean;
}

/**
 * Removes a worker for good: its key opens nothing any more. One that holds runs is only removed by force, and then its
 * runs go back to the queue; what it still does for them counts no more. The worker's row is locked against claims.
 * Asked again by its id, it changes nothing.
 *
 * @returns the runs that went back to the queue; one that was being cancelled is cancelled
 */
export async function removeWorker(
  { database, wakeups, log }: Pick<Services, "database" | "wakeups" | "log">,
  { project, worker, force }: RemoveRequest,
): Promise<string[]> {
  const { id, taken, released } = await database.transaction(async (client) => {
    const found = await lockWorkerToRemove(client, project, worker);
    if (found === null) throw new BerthError("not_found", `There is no worker ${worker}.`);
    if (found.isRemoved) return { id: found.id, taken: [], released: [] };
    const held = await leasesOfWorker(client, found.id);
    if (held.length > 0 && !force) throw stillHolds(found.name, held);
    const requeued: string[] = [];
    for (const lease of held) {
      if ((await releaseRun(client, lease, "its worker was removed")) === "queued") requeued.push(lease.run);
    }
    await markRemoved(client, found.id);
    const details = { id: found.id, force, runs: held.map(({ run }) => run) };
    await recordAudit(client, { project, action: "worker.remove", subject: found.name, details });
    return { id: found.id, taken: held, released: requeued };
  });
  for (const run of released) wakeups.notify(`run:${run}`);
  if (released.length > 0) wakeups.notify("queue");
  wakeups.notify(`worker:${id}`);
  await passPlacesOn(
    { database, wakeups, log },
    taken.map(({ run }) => run),
  );
  return released;
}

function stillHolds(name: string, held: readonly (LeaseRef & { readonly name: string })[]): BerthError {
  const runs = held.slice(0, RUNS_NAMED).map((lease) => lease.name);
  const more = held.length > RUNS_NAMED ? ` and ${held.length - RUNS_NAMED} more` : "";
  return new BerthError("conflict", `The worker ${name} holds ${runs.join(", ")}${more}.`, {
    advice: "Drain it and wait for them to end, or remove it by force: its runs then start again elsewhere.",
    details: { runs: held.map(({ run }) => run) },
  });
}
