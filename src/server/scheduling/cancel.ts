import { type CancelFacts, cancelFault, endOfCancelled } from "../../protocol/cancel.ts";
import { BerthError } from "../../protocol/errors.ts";
import type { RunState } from "../../protocol/states.ts";
import type { Services } from "../services.ts";
import { recordAudit, systemActor } from "../store/audit.ts";
import type { Queryable } from "../store/database.ts";
import { appendServerEvents } from "../store/events.ts";
import { closeRun } from "./close-run.ts";
import { passPlacesOn } from "./places.ts";

export interface CancelRequest {
  readonly project: string;
  readonly run: string;
  readonly facts: CancelFacts;
}

export interface Cancelled {
  readonly state: RunState;
  /** Who has to hear of it, when a worker holds the run. */
  readonly worker: string | null;
  readonly changed: boolean;
}

/**
 * Stops a run: at once while it waits; while it runs, its agent stops what runs and reports the end. Asking again
 * changes nothing. A run that ended by itself stays as it ended: 409.
 */
export async function cancelRun(
  services: Pick<Services, "database" | "wakeups" | "log">,
  request: CancelRequest,
): Promise<Cancelled> {
  const cancelled = await services.database.transaction((client) => cancelRunWithin(client, request));
  if (cancelled.changed && cancelled.state !== "cancelling") await passPlacesOn(services, [request.run]);
  return cancelled;
}

/** The same within a transaction of the caller, for one of several runs: null where it has ended in the meantime. */
export async function cancelUnlessEnded(client: Queryable, request: CancelRequest): Promise<Cancelled | null> {
  try {
    return await cancelRunWithin(client, request);
  } catch (error) {
    if (error instanceof BerthError && error.code === "conflict") return null;
    throw error;
  }
}

/** The same within a transaction of the caller, who passes the place of the run on after that. */
export async function cancelRunWithin(client: Queryable, { project, run, facts }: CancelRequest): Promise<Cancelled> {
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
  const { by, reason, code } = facts;
  const why = cancelFault(facts);
  const end = endOfCancelled(facts);
  const next = state === "queued" ? end : "cancelling";
  await client.query(
    `UPDATE runs SET state = $2, cancel_requested_at = now(), cancel_requested_by = $3, cancel_reason = $4,
       cancel_code = $5, fault = $6, finished_at = CASE $2 WHEN 'cancelling' THEN NULL ELSE now() END
     WHERE id = $1 AND state = $7`,
    [run, next, by, reason, code, next === end ? why : null, state],
  );
  await appendServerEvents(client, { id: run, project }, [{ type: "run.cancel_requested", by, reason }]);
  if (next === end) {
    await closeRun(client, run, end);
    await appendServerEvents(client, { id: run, project }, [{ type: "run.finished", state: end, fault: why }]);
  }
  const details = { by, reason, code };
  await recordAudit(client, { project, action: "run.cancel", subject: run, details, actor: systemActor(by) });
  return { state: next, worker, changed: true };
}
