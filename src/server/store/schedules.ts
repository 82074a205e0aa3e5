import type { Params, SourceRef } from "../../protocol/plan.ts";
import type { CatchUp, Overlap, Schedule, ScheduleDefinition, ScheduleState } from "../../protocol/schedules.ts";
import type { Queryable } from "./database.ts";
import { FIRING, type FiringRow, toFiring } from "./firings.ts";

/** A schedule, as far as it decides what is due and what then runs. */
export interface LockedSchedule {
  readonly id: string;
  readonly project: string;
  readonly pipeline: string;
  readonly pipelineVersion: number;
  readonly name: string;
  readonly source: SourceRef | null;
  readonly cron: string;
  readonly timezone: string;
  readonly overlap: Overlap;
  readonly catchUp: CatchUp;
  readonly params: Params;
  readonly enabled: boolean;
  readonly paused: boolean;
  readonly nextAt: Date | null;
  /** The database's clock. */
  readonly now: Date;
}

/** A source that is read as one value. */
const SOURCE = `CASE WHEN s.source_digest IS NULL THEN NULL
  ELSE json_build_object('digest', s.source_digest, 'size', s.source_size) END AS source`;

const LOCKED = `
  SELECT s.id, s.project_id AS project, p.name AS pipeline, s.pipeline_version AS "pipelineVersion", s.name, ${SOURCE},
         s.cron, s.timezone, s.overlap, s.catch_up AS "catchUp", s.params, s.enabled, s.paused_at IS NOT NULL AS paused,
         s.next_at AS "nextAt", now() AS now
  FROM schedules s JOIN pipelines p ON p.id = s.pipeline_id`;

/** Null while another replica has it, or when it is gone. */
export async function tryLockSchedule(client: Queryable, id: string): Promise<LockedSchedule | null> {
  const { rows } = await client.query<LockedSchedule>(`${LOCKED} WHERE s.id = $1 FOR NO KEY UPDATE OF s SKIP LOCKED`, [
    id,
  ]);
  return rows[0] ?? null;
}

/** Waits for whoever has it. Null when there is none. */
export async function lockSchedule(
  client: Queryable,
  project: string,
  { pipeline, name }: Pick<LockedSchedule, "pipeline" | "name">,
): Promise<LockedSchedule | null> {
  const { rows } = await client.query<LockedSchedule>(
    `${LOCKED} WHERE s.project_id = $1 AND p.name = $2 AND s.name = $3 FOR NO KEY UPDATE OF s`,
    [project, pipeline, name],
  );
  return rows[0] ?? null;
}

/** All of a pipeline, in one order for everybody, so that nobody waits in a circle. */
export async function lockSchedules(client: Queryable, project: string, pipeline: string): Promise<LockedSchedule[]> {
  const { rows } = await client.query<LockedSchedule>(
    `${LOCKED} WHERE s.project_id = $1 AND p.name = $2 ORDER BY s.id FOR UPDATE OF s`,
    [project, pipeline],
  );
  return rows;
}

/** Schedules with something to do: a time that has come, or one that waited and has its turn. */
export async function schedulesWithWork(db: Queryable, limit: number): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>({
    name: "schedules-with-work",
    text: `SELECT id FROM (
             SELECT id, next_at AS due_at FROM schedules WHERE next_at <= now()
             UNION ALL
             SELECT f.schedule_id, f.due_at FROM schedule_firings f JOIN schedules s ON s.id = f.schedule_id
             WHERE f.state = 'waiting' AND (s.overlap = 'allow' OR NOT EXISTS (
               SELECT FROM runs r WHERE r.schedule_id = s.id AND r.state IN ('queued', 'running', 'cancelling')))) AS work
           GROUP BY id ORDER BY min(due_at), id LIMIT $1`,
    values: [limit],
  });
  return rows.map(({ id }) => id);
}

export async function setNextAt(client: Queryable, id: string, nextMs: number | null): Promise<void> {
  await client.query("UPDATE schedules SET next_at = $2 WHERE id = $1", [
    id,
    nextMs === null ? null : new Date(nextMs),
  ]);
}

/** `pause` null takes it back. */
export async function setPaused(
  client: Queryable,
  id: string,
  pause: { readonly by: string; readonly reason: string | null } | null,
): Promise<void> {
  await client.query(
    `UPDATE schedules SET paused_at = CASE WHEN $2::text IS NULL THEN NULL ELSE COALESCE(paused_at, now()) END,
       paused_by = $2, pause_reason = $3 WHERE id = $1`,
    [id, pause?.by ?? null, pause?.reason ?? null],
  );
}

export interface PutSchedule extends ScheduleDefinition {
  readonly id: string;
  readonly project: string;
  readonly pipelineId: string;
  readonly pipelineVersion: number;
  readonly source: SourceRef | null;
  readonly nextMs: number | null;
  readonly by: string;
}

/** Makes it, or changes the one of that name; a pause stays. */
export async function putSchedule(client: Queryable, schedule: PutSchedule): Promise<void> {
  const { source, nextMs } = schedule;
  await client.query(
    `INSERT INTO schedules (id, project_id, pipeline_id, name, pipeline_version, source_digest, source_size, cron, timezone,
       overlap, catch_up, params, enabled, next_at, changed_by)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
     ON CONFLICT (pipeline_id, name) DO UPDATE SET
       pipeline_version = EXCLUDED.pipeline_version, source_digest = EXCLUDED.source_digest,
       source_size = EXCLUDED.source_size, cron = EXCLUDED.cron, timezone = EXCLUDED.timezone,
       overlap = EXCLUDED.overlap, catch_up = EXCLUDED.catch_up, params = EXCLUDED.params, enabled = EXCLUDED.enabled,
       next_at = EXCLUDED.next_at, changed_by = EXCLUDED.changed_by, changed_at = now()`,
    [
      schedule.id,
      schedule.project,
      schedule.pipelineId,
      schedule.name,
      schedule.pipelineVersion,
      source?.digest ?? null,
      source?.size ?? null,
      schedule.cron,
      schedule.timezone,
      schedule.overlap,
      schedule.catchUp,
      JSON.stringify(schedule.params),
      schedule.enabled,
      nextMs === null ? null : new Date(nextMs),
      schedule.by,
    ],
  );
}

export async function deleteSchedule(client: Queryable, id: string): Promise<void> {
  await client.query("DELETE FROM schedules WHERE id = $1", [id]);
}

const STATE = "CASE WHEN NOT s.enabled THEN 'disabled' WHEN s.paused_at IS NOT NULL THEN 'paused' ELSE 'active' END";

export interface ScheduleFilter {
  readonly pipeline: string | null;
  readonly name: string | null;
  readonly state: ScheduleState | null;
  readonly after: readonly [pipeline: string, name: string] | null;
  readonly limit: number;
}

/** By pipeline and name. */
export async function listSchedules(
  db: Queryable,
  project: string,
  { pipeline, name, state, after, limit }: ScheduleFilter,
): Promise<Schedule[]> {
  const { rows } = await db.query(
    `SELECT s.id, p.name AS pipeline, s.name, s.pipeline_version AS "pipelineVersion", ${SOURCE}, s.cron, s.timezone,
            s.overlap, s.catch_up AS "catchUp", s.params, ${STATE} AS state, s.paused_at AS "pausedAt",
            s.paused_by AS "pausedBy", s.pause_reason AS "pauseReason", s.next_at AS "nextAt",
            s.changed_by AS "changedBy", s.changed_at AS "changedAt", to_jsonb(last) AS last
     FROM schedules s JOIN pipelines p ON p.id = s.pipeline_id
       LEFT JOIN LATERAL (${FIRING} WHERE f.schedule_id = s.id ORDER BY f.due_at DESC LIMIT 1) last ON true
     WHERE s.project_id = $1 AND ($2::text IS NULL OR p.name = $2) AND ($3::text IS NULL OR s.name = $3)
       AND ($4::text IS NULL OR ${STATE} = $4) AND ($5::text IS NULL OR (p.name, s.name) > ($5, $6))
     ORDER BY p.name, s.name LIMIT $7`,
    [project, pipeline, name, state, after?.[0] ?? null, after?.[1] ?? null, limit],
  );
  return rows.map(toSchedule);
}

// biome-ignore lint/suspicious/noExplicitAny: the row of the query above, column by column.
function toSchedule({ pausedAt, pausedBy, pauseReason, last, ...row }: any): Schedule {
  return {
    ...row,
    paused: pausedAt === null ? null : { at: pausedAt.toISOString(), by: pausedBy, reason: pauseReason },
    nextAt: row.nextAt?.toISOString() ?? null,
    lastFiring: last === null ? null : toFiring(last as FiringRow),
    changedAt: row.changedAt.toISOString(),
  };
}
