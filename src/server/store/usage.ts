import type { PipelineUsage, StoreUsage } from "../../protocol/usage.ts";
import type { Queryable } from "./database.ts";

export async function usageOfTiers(db: Queryable, project: string): Promise<StoreUsage["tiers"]> {
  const { rows } = await db.query<StoreUsage["tiers"][number]>(
    `SELECT tier, count(*)::int AS blobs, sum(size)::float8 AS bytes FROM blobs WHERE project_id = $1
     GROUP BY tier ORDER BY tier`,
    [project],
  );
  return rows;
}

/** Those with the most bytes first. */
export async function usageOfPipelines(db: Queryable, project: string): Promise<PipelineUsage[]> {
  const { rows } = await db.query<PipelineUsage>(
    `WITH there AS (
       SELECT a.pipeline_id, v.id, v.held_digest AS digest, v.size, v.pinned_at
       FROM artifact_versions v JOIN artifacts a ON a.id = v.artifact_id
       WHERE v.project_id = $1 AND v.expired_at IS NULL),
     referred AS (
       SELECT pipeline_id, count(*) AS versions, sum(size) AS bytes,
              COALESCE(sum(size) FILTER (WHERE pinned_at IS NOT NULL), 0) AS pinned
       FROM there GROUP BY pipeline_id),
     named AS (
       SELECT pipeline_id, digest FROM there UNION
       SELECT t.pipeline_id, f.digest FROM there t JOIN artifact_blobs f ON f.artifact_version_id = t.id),
     own AS (
       SELECT n.pipeline_id, sum(b.size) AS bytes FROM named n JOIN blobs b ON b.project_id = $1 AND b.digest = n.digest
       GROUP BY n.pipeline_id)
     SELECT p.name AS pipeline, r.versions::int AS versions, o.bytes::float8 AS bytes, r.bytes::float8 AS "referencedBytes",
            r.pinned::float8 AS "pinnedBytes"
     FROM referred r JOIN own o USING (pipeline_id) JOIN pipelines p ON p.id = r.pipeline_id
     ORDER BY o.bytes DESC, p.name`,
    [project],
  );
  return rows;
}

/** What is due by the end of each of the next days, in UTC. */
export async function expiringByDay(db: Queryable, project: string, days: number): Promise<StoreUsage["expiring"]> {
  const { rows } = await db.query<StoreUsage["expiring"][number]>(
    `WITH due AS (
       SELECT greatest(expires_at, now()) AT TIME ZONE 'UTC' AS at, size FROM artifact_versions
       WHERE project_id = $1 AND expired_at IS NULL AND pinned_at IS NULL
         AND expires_at < date_trunc('day', now(), 'UTC') + $2 * interval '1 day')
     SELECT to_char(day, 'YYYY-MM-DD') AS day, count(due.at)::int AS versions, COALESCE(sum(due.size), 0)::float8 AS "referencedBytes"
     FROM generate_series(0, $2::integer - 1) AS ahead,
       LATERAL (SELECT date_trunc('day', now() AT TIME ZONE 'UTC') + ahead * interval '1 day' AS day) AS d
       LEFT JOIN due ON due.at >= d.day AND due.at < d.day + interval '1 day'
     GROUP BY day ORDER BY day`,
    [project, days],
  );
  return rows;
}

/** Whether it is so long ago that a replica last wrote down how much there is. */
export async function isSampleDue(db: Queryable, intervalMs: number): Promise<boolean> {
  const { rows } = await db.query<{ due: boolean }>(
    "SELECT sampled_at < now() - $1 * interval '1 ms' AS due FROM collector",
    [intervalMs],
  );
  return rows[0]!.due;
}

export async function noteSampled(db: Queryable): Promise<void> {
  await db.query("UPDATE collector SET sampled_at = now()");
}

export interface Sample {
  readonly kind: "tier" | "pipeline";
  readonly name: string;
  readonly bytes: number;
  readonly referencedBytes: number;
}

/** Writes down how much there is in a project now. */
export async function insertSamples(db: Queryable, project: string, samples: readonly Sample[]): Promise<void> {
  await db.query(
    `INSERT INTO store_samples (project_id, at, kind, name, bytes, referenced_bytes)
     SELECT $1, now(), s.kind, s.name, s.bytes, s.referenced
     FROM unnest($2::text[], $3::text[], $4::float8[], $5::float8[]) AS s (kind, name, bytes, referenced)
     ON CONFLICT DO NOTHING`,
    [
      project,
      samples.map(({ kind }) => kind),
      samples.map(({ name }) => name),
      samples.map(({ bytes }) => bytes),
      samples.map(({ referencedBytes }) => referencedBytes),
    ],
  );
}

/** After a week the first of each day is enough; older than `daysMax` nothing is kept. */
export async function thinSamples(db: Queryable, daysMax: number): Promise<void> {
  await db.query(
    `DELETE FROM store_samples s WHERE at < now() - $1 * interval '1 day' OR (at < now() - interval '7 days' AND EXISTS (
       SELECT FROM store_samples b WHERE b.project_id = s.project_id AND b.kind = s.kind AND b.name = s.name
         AND b.at < s.at AND b.at >= date_trunc('day', s.at, 'UTC')))`,
    [daysMax],
  );
}

/** Oldest first; of one pipeline, or of all tiers together. */
export async function usageHistory(
  db: Queryable,
  project: string,
  { pipeline, days }: { readonly pipeline: string | null; readonly days: number },
): Promise<StoreUsage["history"]> {
  const { rows } = await db.query<{ at: Date; bytes: number; referencedBytes: number }>(
    `SELECT at, sum(bytes)::float8 AS bytes, sum(referenced_bytes)::float8 AS "referencedBytes" FROM store_samples
     WHERE project_id = $1 AND at >= now() - $3 * interval '1 day'
       AND (($2::text IS NULL AND kind = 'tier') OR (kind = 'pipeline' AND name = $2))
     GROUP BY at ORDER BY at`,
    [project, pipeline, days],
  );
  return rows.map((row) => ({ ...row, at: row.at.toISOString() }));
}

export async function projectIds(db: Queryable): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>("SELECT id FROM projects ORDER BY id");
  return rows.map(({ id }) => id);
}
