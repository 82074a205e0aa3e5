import { LEASE_DURATION_MS, type LeaseRef } from "../../protocol/agent-api.ts";
import type { Services } from "../services.ts";
import type { Database, Queryable } from "../store/database.ts";
import { passPlacesOn } from "./places.ts";
import { releaseRun } from "./release.ts";

/** A worker that is away this long after its lease ran out is given up, if it does not come back before. */
export const RECOVERY_AFTER_MS = 5 * 60_000;
/** Without a pass of any replica for this long it was the server that was away, not the workers. */
export const OUTAGE_MS = 30_000;
/** Runs given up in one pass; the next pass comes soon. */
const RUNS_PER_PASS = 200;

export interface ReapOptions {
  readonly recoveryAfterMs: number;
}

export interface ReapResult {
  /** Leases extended because the server itself had been away. */
  readonly extended: number;
  readonly released: readonly LeaseRef[];
}

/**
 * Gives up runs whose worker is gone. Only the database's clock counts, and only one replica at a time looks. Each run is
 * released by compare-and-swap in a transaction of its own, so an agent that comes back in between keeps it.
 */
export async function reap(
  { database, wakeups, log }: Pick<Services, "database" | "wakeups" | "log">,
  { recoveryAfterMs }: ReapOptions,
): Promise<ReapResult> {
  const pass = await database.transaction((client) => beginPass(client, recoveryAfterMs));
  const released: LeaseRef[] = [];
  for (const lease of pass.overdue) {
    if (await giveUp(database, lease, recoveryAfterMs)) released.push(lease);
  }
  for (const { run, epoch } of released) {
    log.warn({ run, epoch }, "gave a run up: its worker was not heard of");
    wakeups.notify(`run:${run}`);
  }
  if (released.length > 0) wakeups.notify("queue");
  await passPlacesOn(
    { database, wakeups, log },
    released.map(({ run }) => run),
  );
  if (pass.extended > 0) log.info({ leases: pass.extended }, "extended all leases after an outage of the server");
  return { extended: pass.extended, released };
}

interface Pass {
  readonly extended: number;
  readonly overdue: readonly LeaseRef[];
}

const NOTHING: Pass = { extended: 0, overdue: [] };

async function beginPass(client: Queryable, recoveryAfterMs: number): Promise<Pass> {
  const { rows } = await client.query<{ outage: boolean }>(
    `SELECT passed_at < now() - make_interval(secs => ${OUTAGE_MS / 1000}) AS outage FROM reaper
     FOR UPDATE SKIP LOCKED`,
  );
  if (rows[0] === undefined) return NOTHING; // Another replica is at it.
  await client.query("UPDATE reaper SET passed_at = now()");
  if (rows[0].outage) {
    await client.query("UPDATE reaper SET steady_since = now()");
    const { rowCount } = await client.query(
      `UPDATE runs SET lease_expires_at = now() + make_interval(secs => ${LEASE_DURATION_MS / 1000})
       WHERE state IN ('running', 'cancelling')`,
    );
    return { extended: rowCount ?? 0, overdue: [] };
  }
  const overdue = await client.query<LeaseRef>(
    `SELECT id AS run, epoch FROM runs WHERE ${OVERDUE} ORDER BY lease_expires_at LIMIT ${RUNS_PER_PASS}`,
    [recoveryAfterMs / 1000],
  );
  return { extended: 0, overdue: overdue.rows };
}

/**
 * A worker that was heard of after the lease ran out, and did not renew it, has dropped the run by itself. And a run that
 * is to be cancelled anyway does not wait for its worker: nothing of it is started twice.
 */
const OVERDUE = `lease_expires_at < now() AND (
  state = 'cancelling'
  OR state = 'running' AND (lease_expires_at < now() - make_interval(secs => $1)
    OR EXISTS (SELECT FROM workers w WHERE w.id = runs.worker_id AND w.last_seen_at > lease_expires_at)))`;

async function giveUp(database: Database, lease: LeaseRef, recoveryAfterMs: number): Promise<boolean> {
  return database.transaction(async (client) => {
    const { rowCount } = await client.query(
      `SELECT FROM runs WHERE ${OVERDUE} AND id = $2 AND epoch = $3 FOR NO KEY UPDATE`,
      [recoveryAfterMs / 1000, lease.run, lease.epoch],
    );
    if (rowCount === 0) return false;
    return (await releaseRun(client, lease, "its worker was not heard of")) !== null;
  });
}
