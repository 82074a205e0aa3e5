import type { LeaseRef } from "../../protocol/agent-api.ts";
import { type CancelFacts, cancelFault, endOfCancelled } from "../../protocol/cancel.ts";
import { fault } from "../../protocol/faults.ts";
import { loseRunningAttempts } from "../store/attempts.ts";
import type { Queryable } from "../store/database.ts";
import { appendServerEvents } from "../store/events.ts";
import { CANCEL_FACTS, endLease } from "../store/leases.ts";
import { resetRunningStepRuns } from "../store/step-runs.ts";
import { closeRun } from "./close-run.ts";

/** What a released run became. */
export type Released = "queued" | "cancelled" | "failed";

/**
 * Takes a run from its worker: it waits for another one, or is cancelled if that was asked for. Compare-and-swap on the
 * epoch; null when the lease was not held any more, and then nothing is changed. Nothing is started here: only a claim
 * admits a worker, under the next epoch.
 */
export async function releaseRun(client: Queryable, lease: LeaseRef, reason: string): Promise<Released | null> {
  const { rows } = await client.query<{ project: string; cancel: CancelFacts | null }>(
    `SELECT r.project_id AS project, ${CANCEL_FACTS} AS cancel FROM runs r
     WHERE r.id = $1 AND r.epoch = $2 AND r.state IN ('running', 'cancelling') FOR NO KEY UPDATE`,
    [lease.run, lease.epoch],
  );
  const held = rows[0];
  if (held === undefined) return null;
  const { cancel } = held;
  const state = cancel === null ? "queued" : endOfCancelled(cancel);
  const why = cancel === null ? null : cancelFault(cancel);
  await client.query(
    `UPDATE runs SET state = $3, finished_at = CASE $3 WHEN 'queued' THEN NULL ELSE now() END, fault = $4,
       worker_id = NULL, lease_expires_at = NULL
     WHERE id = $1 AND epoch = $2`,
    [lease.run, lease.epoch, state, why],
  );
  const run = { id: lease.run, project: held.project };
  await endLease(client, lease, reason);
  if (state === "queued") {
    await loseRunningAttempts(client, run.id, fault("node-lost", `The worker was given up: ${reason}.`));
    await resetRunningStepRuns(client, run.id);
    await appendServerEvents(client, run, [{ type: "run.released", epoch: lease.epoch, reason }]);
  } else {
    await closeRun(client, run.id, state);
    await appendServerEvents(client, run, [
      { type: "run.released", epoch: lease.epoch, reason },
      { type: "run.finished", state, fault: why },
    ]);
  }
  return state;
}
