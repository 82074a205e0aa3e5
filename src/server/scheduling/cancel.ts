import { BerthError } from "../../protocol/errors.ts";
import { fault } from "../../protocol/faults.ts";
import type { RunState } from "../../protocol/states.ts";
import type { Database } from "../store/database.ts";
import { appendServerEvents } from "../store/events.ts";
import { closeRun } from "./close-run.ts";

export interface CancelRequest {
  readonly project: string;
  readonly run: string;
  readonly by: string;
  readonly reason: string | null;
}

export interface Cancelled {
  readonly state: RunState;
  /** Who has to hear of it, when a worker holds the run. */
  readonly worker: string | null;
  readonly changed: boolean;
}

/**
 * Cancels a run: at once while it waits; while it runs, its agent stops what runs and reports the end. Asking again
 * changes nothing. A run that ended by itself stays as it ended: 409.
 */
export async function cancelRun(database: Database, { project, run, by, reason }: CancelRequest): Promise<Cancelled> {
  return database.transaction(async (client) => {
    const { rows } = await client.query<{ state: RunState; worker: string | null }>(
      `SELECT state, worker_id AS worker FROM runs WHERE id = $1 AND project_id = $2 FOR NO KEY UPDATE`,
      [run, project],
    );
    const found = rows[0];
    if (found === undefined) throw new BerthError("not_found", `There is no run ${run}.`);
    const { state, worker } = found;
    if (state === "cancelled" || state === "cancelling") return { state, worker, changed: false };
    if (state === "succeeded" || state === "failed") {
      throw new BerthError("conflict", `The run has already ended: it ${state}.`, { details: { state } });
    }
    const next = state === "queued" ? "cancelled" : "cancelling";
    await client.query(
      `UPDATE runs SET state = $2, cancel_requested_at = now(), cancel_requested_by = $3, cancel_reason = $4,
         fault = $5, finished_at = CASE $2 WHEN 'cancelled' THEN now() END
       WHERE id = $1 AND state = $6`,
      [run, next, by, reason, next === "cancelled" ? cancelFault(by) : null, state],
    );
    await appendServerEvents(client, { id: run, project }, [{ type: "run.cancel_requested", by, reason }]);
    if (next === "cancelled") {
      await closeRun(client, run, "cancelled");
      await appendServerEvents(client, { id: run, project }, [
        { type: "run.finished", state: "cancelled", fault: cancelFault(by) },
      ]);
    }
    return { state: next, worker, changed: true };
  });
}

function cancelFault(by: string) {
  return fault("cancelled", `Cancelled by ${by} before it was taken by a worker.`);
}
