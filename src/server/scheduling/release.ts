import type { LeaseRef } from "../../protocol/agent-api.ts";
import { fault } from "../../protocol/faults.ts";
import { loseRunningAttempts } from "../store/attempts.ts";
import type { Queryable } from "../store/database.ts";
import { appendServerEvents } from "../store/events.ts";
import { endLease } from "../store/leases.ts";
import { resetRunningStepRuns } from "../store/step-runs.ts";
import { closeRun } from "./close-run.ts";

/** What a released run became. */
export type Released = "queued" | "cancelled";

/**
 * Takes a run from its worker: it waits for another one, or is cancelled if that was asked for. Compare-and-swap on the
 * epoch; null when the lease was not held any more, and then nothing is changed. Nothing is started here: only a claim
 * admits a worker, under the next epoch.
 */
export async function releaseRun(client: Queryable, lease: LeaseRef, reason: string): Promise<Released | null> {
  const cancelled = fault("cancelled", `Cancelled; ${reason}.`);
  const { rows } = await client.query<{ state: Released; project: string }>(
    `UPDATE runs SET
       state = CASE state WHEN 'running' THEN 'queued' ELSE 'cancelled' END,
       finished_at = CASE state WHEN 'running' THEN NULL ELSE now() END,
       fault = CASE state WHEN 'running' THEN NULL ELSE $3::jsonb END,
       worker_id = NULL, lease_expires_at = NULL
     WHERE id = $1 AND epoch = $2 AND state IN ('running', 'cancelling')
     RETURNING state, project_id AS project`,
    [lease.run, lease.epoch, cancelled],
  );
  const released = rows[0];
  if (released === undefined) return null;
  const run = { id: lease.run, project: released.project };
  await endLease(client, lease, reason);
  if (released.state === "queued") {
    await loseRunningAttempts(client, run.id, fault("node-lost", `The worker was given up: ${reason}.`));
    await resetRunningStepRuns(client, run.id);
    await appendServerEvents(client, run, [{ type: "run.released", epoch: lease.epoch, reason }]);
  } else {
    await closeRun(client, run.id, "cancelled");
    await appendServerEvents(client, run, [
      { type: "run.released", epoch: lease.epoch, reason },
      { type: "run.finished", state: "cancelled", fault: cancelled },
    ]);
  }
  return released.state;
}
