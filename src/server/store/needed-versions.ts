import type { Queryable } from "./database.ts";

/**
 * What a run that failed or was cancelled made is there this long after its end, whatever the rules say, so that it can be
 * restarted.
 */
export const RESTARTABLE_DAYS = 7;

const IS_LIVE = "r.state IN ('queued', 'running', 'cancelling')";
const IS_RESTARTABLE = `r.state IN ('failed', 'cancelled')
  AND r.finished_at > now() - interval '${RESTARTABLE_DAYS} days'`;

/**
 * Runs, as rows (id, pipeline_id, number, live), that need a row `v` of artifact_versions: the one that made it, those
 * that took it over, and those that were offered it from the cache; while they live, and while they can be restarted.
 */
const NEEDED_BY = `(
  SELECT r.id, r.pipeline_id, r.number, ${IS_LIVE} AS live FROM runs r
  WHERE r.id = v.run_id AND (${IS_LIVE} OR ${IS_RESTARTABLE})
  UNION ALL
  SELECT r.id, r.pipeline_id, r.number, ${IS_LIVE} FROM step_runs t JOIN runs r ON r.id = t.run_id
  WHERE t.taken_from_run = v.run_id AND t.key = v.step_run AND (${IS_LIVE} OR ${IS_RESTARTABLE})
  UNION ALL
  SELECT r.id, r.pipeline_id, r.number, true FROM cache_grants g JOIN runs r ON r.id = g.run_id
  WHERE g.from_run = v.run_id AND g.step_run = v.step_run AND ${IS_LIVE})`;

/** Whether a row `v` of artifact_versions is needed by a run. */
export const IS_NEEDED = `EXISTS ${NEEDED_BY}`;

/** Whether something is there of a version `kept` of artifact `a`: of what its run made, or took over. */
const IS_THERE = `(EXISTS (SELECT FROM artifact_versions o
      WHERE o.artifact_id = a.id AND o.version = kept.version AND o.expired_at IS NULL)
    OR EXISTS (SELECT FROM step_runs t JOIN artifact_versions o ON o.run_id = t.taken_from_run AND o.step_run = t.key
      WHERE t.run_id = kept.run_id AND t.step = a.step AND o.artifact_id = a.id AND o.expired_at IS NULL))`;

/** The number of the oldest version that is kept as one of the newest `last` of `v`'s artifact `a`; NULL where all are. */
export function oldestKept(last: string): string {
  return `(SELECT kept.version FROM artifact_runs kept
    WHERE kept.artifact_id = a.id AND kept.expired_at IS NULL AND ${IS_THERE} AND NOT EXISTS (SELECT FROM step_runs open
      WHERE open.run_id = kept.run_id AND open.step = a.step AND open.state <> 'succeeded')
    ORDER BY kept.version DESC OFFSET ${last} - 1 LIMIT 1)`;
}

/** Whether a row `v` of artifact_versions belongs to the version `oldest` or a newer one, of which a run may have taken it over. */
export function isSince(oldest: string): string {
  return `(v.version >= COALESCE(${oldest}, 0) OR EXISTS (
    SELECT FROM step_runs t JOIN artifact_runs n ON n.run_id = t.run_id AND n.artifact_id = v.artifact_id
    WHERE t.taken_from_run = v.run_id AND t.key = v.step_run AND n.version >= ${oldest}))`;
}

/** A run that needs a version. */
export interface NeedingRun {
  /** `wine#12` */
  readonly run: string;
  /** Whether it has not ended; else it may be restarted. */
  readonly live: boolean;
}

/** By version, at most `limit` each. */
export async function runsNeeding(
  db: Queryable,
  versions: readonly number[],
  limit: number,
): Promise<Map<number, NeedingRun[]>> {
  const { rows } = await db.query<NeedingRun & { id: number }>(
    `SELECT v.id, p.name || '#' || needing.number AS run, needing.live
     FROM artifact_versions v CROSS JOIN LATERAL (SELECT DISTINCT * FROM ${NEEDED_BY} AS n ORDER BY n.live DESC, n.id LIMIT $2)
       AS needing JOIN pipelines p ON p.id = needing.pipeline_id
     WHERE v.id = ANY ($1)`,
    [versions, limit],
  );
  return Map.groupBy(rows, ({ id }) => id);
}

/**
 * Versions that these step runs made and that are there, held until the transaction ends: what takes them over is seen
 * by whoever would remove them.
 */
export async function holdVersions(
  client: Queryable,
  stepRuns: readonly { readonly run: string; readonly key: string }[],
): Promise<void> {
  await client.query(
    `SELECT FROM unnest($1::text[], $2::text[]) AS w (run, key)
       JOIN artifact_versions v ON v.run_id = w.run AND v.step_run = w.key
     WHERE v.expired_at IS NULL ORDER BY v.id FOR KEY SHARE OF v`,
    [stepRuns.map(({ run }) => run), stepRuns.map(({ key }) => key)],
  );
}
