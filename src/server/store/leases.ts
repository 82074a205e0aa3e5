import { LEASE_DURATION_MS, type LeaseRef } from "../../protocol/agent-api.ts";
import type { CancelFacts } from "../../protocol/cancel.ts";
import { BerthError } from "../../protocol/errors.ts";
import type { RunState } from "../../protocol/states.ts";
import type { Queryable } from "./database.ts";

/** The CancelFacts of `runs r`, as JSON; null unless it is being stopped. */
export const CANCEL_FACTS = `CASE r.state WHEN 'cancelling' THEN json_build_object('by', r.cancel_requested_by,
  'reason', r.cancel_reason, 'code', r.cancel_code) END`;

/** Who claims to hold which run. */
export interface LeaseHolder {
  readonly project: string;
  readonly worker: string;
  readonly run: string;
  readonly epoch: number;
}

export interface LeasedRun {
  readonly id: string;
  readonly pipelineId: string;
  readonly pipelineVersion: number;
  readonly state: RunState;
  /** Null unless it is being stopped. */
  readonly cancel: CancelFacts | null;
  readonly epoch: number;
  readonly agentSeq: number;
  readonly streamSeq: number;
  /** When this lease was granted, and the time of this transaction: an agent's clock is only believed in between. */
  readonly grantedAt: Date;
  readonly now: Date;
}

/** Late logs and repeated reports are taken from the last holder for this long after a run ended. */
export const ENDED_GRACE_MS = 10 * 60_000;

const LEASED_RUN = `
  SELECT r.id, r.pipeline_id AS "pipelineId", r.pipeline_version AS "pipelineVersion", r.state, r.epoch,
         r.agent_seq AS "agentSeq", r.stream_seq AS "streamSeq", l.granted_at AS "grantedAt", now() AS now,
         ${CANCEL_FACTS} AS cancel
  FROM runs r JOIN run_leases l ON l.run_id = r.id AND l.epoch = r.epoch
  WHERE r.id = $1 AND r.project_id = $2 AND r.worker_id = $3 AND r.epoch = $4`;

/**
 * Locks the run for a write of its holder. The holder of an ended run gets it too, so that a repeated report can be
 * answered; it is for the caller to refuse anything new.
 */
export async function lockLeasedRun(client: Queryable, holder: LeaseHolder): Promise<LeasedRun> {
  const { rows } = await client.query<LeasedRun>({
    name: "lock-leased-run",
    // NO KEY: rows that refer to this run may be inserted meanwhile, such as logs.
    text: `${LEASED_RUN} AND r.state <> 'queued' FOR NO KEY UPDATE OF r`,
    values: [holder.run, holder.project, holder.worker, holder.epoch],
  });
  return rows[0] ?? (await refuse(client, holder));
}

/** Makes sure, without a lock, that the holder has the run, or had it until ENDED_GRACE_MS ago at most. */
export async function requireLease(db: Queryable, holder: LeaseHolder): Promise<LeasedRun> {
  const { rows } = await db.query<LeasedRun>({
    name: "require-lease",
    text: `${LEASED_RUN} AND (r.state IN ('running', 'cancelling')
       OR r.finished_at > now() - make_interval(secs => ${ENDED_GRACE_MS / 1000}))`,
    values: [holder.run, holder.project, holder.worker, holder.epoch],
  });
  return rows[0] ?? (await refuse(db, holder));
}

/** 409 for a worker that once held the run; for any other the run does not exist. */
async function refuse(db: Queryable, holder: LeaseHolder): Promise<never> {
  const { rowCount } = await db.query(
    "SELECT FROM run_leases WHERE run_id = $1 AND project_id = $2 AND worker_id = $3 LIMIT 1",
    [holder.run, holder.project, holder.worker],
  );
  if (rowCount === 0) throw new BerthError("not_found", `There is no run ${holder.run} leased to this worker.`);
  throw staleEpoch(holder);
}

export function staleEpoch(holder: Pick<LeaseHolder, "run" | "epoch">): BerthError {
  return new BerthError("stale_epoch", `Epoch ${holder.epoch} of ${holder.run} is over: nothing was written.`, {
    advice: "Stop what runs for this lease and report nothing more for it.",
  });
}

/** A worker's hold on a run, as the loops of the agent compare it with their own. */
export interface HeldRun extends LeaseRef {
  readonly state: RunState;
  readonly agentSeq: number;
  /** Null unless the run is being stopped. */
  readonly cancel: CancelFacts | null;
}

const HELD_RUN = `r.id AS run, r.epoch, r.state, r.agent_seq AS "agentSeq", ${CANCEL_FACTS} AS cancel`;

/** Every run that the worker holds and that has not ended. */
export async function activeRunsOf(db: Queryable, worker: string): Promise<HeldRun[]> {
  const { rows } = await db.query<HeldRun>({
    name: "active-runs-of",
    text: `SELECT ${HELD_RUN} FROM runs r WHERE r.worker_id = $1 AND r.state IN ('running', 'cancelling') ORDER BY r.id`,
    values: [worker],
  });
  return rows;
}

/** An agent takes what it was given at once: what it does not name after this long, it was never given. */
const UNHEARD_AFTER_MS = 10_000;

/** Leases of the worker that it does not name, although they were granted a while ago, and has reported nothing of. */
export async function unheardLeases(db: Queryable, worker: string, held: readonly LeaseRef[]): Promise<LeaseRef[]> {
  const { rows } = await db.query<LeaseRef>({
    name: "unheard-leases",
    text: `SELECT r.id AS run, r.epoch FROM runs r JOIN run_leases l ON l.run_id = r.id AND l.epoch = r.epoch
     WHERE r.worker_id = $1 AND r.state IN ('running', 'cancelling') AND r.agent_seq = 0 AND NOT r.id = ANY ($2)
       AND l.granted_at < now() - make_interval(secs => ${UNHEARD_AFTER_MS / 1000})
     ORDER BY r.id`,
    values: [worker, held.map(({ run }) => run)],
  });
  return rows;
}

/** Those of these leases that are the worker's; also of runs that it ended itself, for it may have logs left to send. */
export async function grantedLeases(db: Queryable, worker: string, held: readonly LeaseRef[]): Promise<HeldRun[]> {
  if (held.length === 0) return [];
  const { rows } = await db.query<HeldRun>({
    name: "granted-leases",
    text: `SELECT ${HELD_RUN} FROM runs r JOIN unnest($2::text[], $3::integer[]) AS held (run, epoch)
       ON r.id = held.run AND r.epoch = held.epoch
     WHERE r.worker_id = $1`,
    values: [worker, held.map(({ run }) => run), held.map(({ epoch }) => epoch)],
  });
  return rows;
}

/** Renews those of these leases that the worker holds, and returns them. */
export async function extendLeases(db: Queryable, worker: string, held: readonly LeaseRef[]): Promise<HeldRun[]> {
  if (held.length === 0) return [];
  const { rows } = await db.query<HeldRun>({
    name: "extend-leases",
    // In the order of whoever stops several runs at once, so that neither waits for the other.
    text: `WITH held AS (
       SELECT h.id FROM runs h JOIN unnest($2::text[], $3::integer[]) AS lease (run, epoch)
         ON h.id = lease.run AND h.epoch = lease.epoch
       WHERE h.worker_id = $1 AND h.state IN ('running', 'cancelling') ORDER BY h.id FOR NO KEY UPDATE OF h)
     UPDATE runs r SET lease_expires_at = now() + make_interval(secs => ${LEASE_DURATION_MS / 1000})
     FROM held WHERE r.id = held.id RETURNING ${HELD_RUN}`,
    values: [worker, held.map(({ run }) => run), held.map(({ epoch }) => epoch)],
  });
  return rows;
}

/** The members of `all` that are not in `some`. */
export function leasesWithout(all: readonly LeaseRef[], some: readonly LeaseRef[]): LeaseRef[] {
  const key = ({ run, epoch }: LeaseRef) => `${run} ${epoch}`;
  const known = new Set(some.map(key));
  return all.filter((lease) => !known.has(key(lease))).map(({ run, epoch }) => ({ run, epoch }));
}

/** Writes down that a lease is over. */
export async function endLease(db: Queryable, lease: LeaseRef, reason: string): Promise<void> {
  await db.query("UPDATE run_leases SET ended_at = now(), end_reason = $3 WHERE run_id = $1 AND epoch = $2", [
    lease.run,
    lease.epoch,
    reason,
  ]);
}

/** What a worker holds, with the names that people call the runs by; the oldest first. */
export async function leasesOfWorker(db: Queryable, worker: string): Promise<(LeaseRef & { name: string })[]> {
  const { rows } = await db.query<LeaseRef & { name: string }>(
    `SELECT r.id AS run, r.epoch, p.name || '#' || r.number AS name
     FROM runs r JOIN pipelines p ON p.id = r.pipeline_id
     WHERE r.worker_id = $1 AND r.state IN ('running', 'cancelling') ORDER BY r.created_at, r.id`,
    [worker],
  );
  return rows;
}
