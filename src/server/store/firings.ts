import type { Firing, SkipReason } from "../../protocol/schedules.ts";
import type { StartedBy } from "../../protocol/started-by.ts";
import type { RunState } from "../../protocol/states.ts";
import type { Queryable } from "./database.ts";

/** Of one schedule; what is older is forgotten. */
const FIRINGS_KEPT = 1_000;

export const FIRING = `
  SELECT f.due_at AS "dueAt", f.until_at AS "untilAt", f.state, f.reason, f.message, f.by,
         CASE WHEN r.id IS NULL THEN NULL
              ELSE json_build_object('id', r.id, 'number', r.number, 'state', r.state) END AS run
  FROM schedule_firings f LEFT JOIN runs r ON r.id = f.run_id`;

/** Times are dates of the driver, or texts where the row came inside of JSON. */
export interface FiringRow extends Omit<Firing, "dueAt" | "untilAt"> {
  readonly dueAt: Date | string;
  readonly untilAt: Date | string | null;
}

export function toFiring({ dueAt, untilAt, ...row }: FiringRow): Firing {
  return {
    ...row,
    dueAt: new Date(dueAt).toISOString(),
    untilAt: untilAt === null ? null : new Date(untilAt).toISOString(),
  };
}

/** The newest first. */
export async function listFirings(
  db: Queryable,
  schedule: string,
  { before, limit }: { readonly before: Date | null; readonly limit: number },
): Promise<Firing[]> {
  const { rows } = await db.query<FiringRow>(
    `${FIRING} WHERE f.schedule_id = $1 AND ($2::timestamptz IS NULL OR f.due_at < $2) ORDER BY f.due_at DESC LIMIT $3`,
    [schedule, before, limit],
  );
  return rows.map(toFiring);
}

export interface NewFiring {
  readonly schedule: string;
  readonly project: string;
  readonly dueMs: number;
  readonly untilMs?: number | null;
  readonly state: Firing["state"];
  readonly reason?: SkipReason;
}

/** Fails where the due time has been seen before: each makes at most one run. */
export async function insertFiring(client: Queryable, firing: NewFiring): Promise<void> {
  const { schedule, project, dueMs, untilMs = null, state, reason = null } = firing;
  await client.query(
    `INSERT INTO schedule_firings (schedule_id, project_id, due_at, until_at, state, reason)
     VALUES ($1, $2, $3, $4, $5, $6)`,
    [schedule, project, new Date(dueMs), untilMs === null ? null : new Date(untilMs), state, reason],
  );
}

/** Of a run that somebody did not wait for. Not rounded like the times that are due, so that it is none of them. */
export async function insertManualFiring(
  client: Queryable,
  {
    schedule,
    project,
    by,
    run,
  }: Pick<NewFiring, "schedule" | "project"> & { readonly by: string; readonly run: string },
): Promise<void> {
  await client.query(
    `INSERT INTO schedule_firings (schedule_id, project_id, due_at, state, by, run_id)
     VALUES ($1, $2, clock_timestamp(), 'started', $3, $4)`,
    [schedule, project, by, run],
  );
}

/** Due times that have made no run yet, the oldest first. */
export async function waitingFirings(client: Queryable, schedule: string): Promise<number[]> {
  const { rows } = await client.query<{ at: Date }>(
    "SELECT due_at AS at FROM schedule_firings WHERE schedule_id = $1 AND state = 'waiting' ORDER BY due_at",
    [schedule],
  );
  return rows.map(({ at }) => at.getTime());
}

export async function firingStarted(client: Queryable, schedule: string, dueMs: number, run: string): Promise<void> {
  await client.query(
    "UPDATE schedule_firings SET state = 'started', run_id = $3 WHERE schedule_id = $1 AND due_at = $2",
    [schedule, new Date(dueMs), run],
  );
}

export async function firingsSkipped(
  client: Queryable,
  schedule: string,
  dueMs: readonly number[],
  reason: SkipReason,
  message: string | null,
): Promise<void> {
  if (dueMs.length === 0) return;
  await client.query(
    `UPDATE schedule_firings SET state = 'skipped', reason = $3, message = $4
     WHERE schedule_id = $1 AND due_at = ANY ($2::timestamptz[]) AND state = 'waiting'`,
    [schedule, dueMs.map((ms) => new Date(ms)), reason, message],
  );
}

export async function forgetOldFirings(client: Queryable, schedule: string): Promise<void> {
  await client.query(
    `DELETE FROM schedule_firings WHERE schedule_id = $1 AND state <> 'waiting' AND due_at < (
       SELECT due_at FROM schedule_firings WHERE schedule_id = $1 ORDER BY due_at DESC OFFSET ${FIRINGS_KEPT - 1} LIMIT 1)`,
    [schedule],
  );
}

export interface ActiveRun {
  readonly id: string;
  readonly number: number;
  readonly state: RunState;
}

/** Runs of a schedule that have not ended, the oldest first. */
export async function activeRunsOf(client: Queryable, schedule: string): Promise<ActiveRun[]> {
  const { rows } = await client.query<ActiveRun>(
    `SELECT id, number, state FROM runs WHERE schedule_id = $1 AND state IN ('queued', 'running', 'cancelling')
     ORDER BY id`,
    [schedule],
  );
  return rows;
}

/** Notes what a run was started by, which is a person where nothing is noted. */
export async function noteStart(
  client: Queryable,
  run: string,
  startedBy: StartedBy,
  schedule: string | null,
): Promise<void> {
  await client.query("UPDATE runs SET started_by = $2, schedule_id = $3 WHERE id = $1", [
    run,
    JSON.stringify(startedBy),
    schedule,
  ]);
}
