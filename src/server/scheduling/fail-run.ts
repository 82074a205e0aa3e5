import type { Fault } from "../../protocol/faults.ts";
import type { Services } from "../services.ts";
import { loseRunningAttempts } from "../store/attempts.ts";
import { appendServerEvents } from "../store/events.ts";
import { endLease, type LeaseHolder } from "../store/leases.ts";
import { closeStepRuns } from "../store/step-runs.ts";
import { passPlacesOn } from "./places.ts";

/**
 * Ends a run whose holder reports what can never be taken: a retry would only come to the same. Its agent is told that
 * the lease is over, and stops what runs. Changes nothing when the lease was not held any more.
 */
export async function failRun(
  services: Pick<Services, "database" | "wakeups" | "log">,
  { project, run, epoch, worker }: LeaseHolder,
  why: Fault,
): Promise<void> {
  const failed = await services.database.transaction(async (client) => {
    const { rowCount } = await client.query(
      `UPDATE runs SET state = 'failed', fault = $5, finished_at = now(), lease_expires_at = NULL
       WHERE id = $1 AND project_id = $2 AND epoch = $3 AND worker_id = $4 AND state IN ('running', 'cancelling')`,
      [run, project, epoch, worker, why],
    );
    if (rowCount === 0) return false;
    await endLease(client, { run, epoch }, "failed");
    await loseRunningAttempts(client, run, why);
    await closeStepRuns(client, run, { pending: "skipped", fault: why });
    await appendServerEvents(client, { id: run, project }, [{ type: "run.finished", state: "failed", fault: why }]);
    return true;
  });
  if (!failed) return;
  services.log.warn({ run, epoch, fault: why.code }, "a run was ended: what it reports cannot be taken");
  services.wakeups.notify(`run:${run}`);
  services.wakeups.notify("queue");
  await passPlacesOn(services, [run]);
}
