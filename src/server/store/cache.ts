import type { CacheComponents } from "../../pipeline/cache-key.ts";
import type { Content } from "../../protocol/artifacts.ts";
import type { CacheHit } from "../../protocol/cache.ts";
import type { Queryable } from "./database.ts";

/** Where a key is looked up: only the same step run of the same pipeline can have made the same. */
export interface CacheScope {
  readonly project: string;
  readonly pipelineId: string;
  readonly stepRun: string;
}

const OUTPUTS = `COALESCE((SELECT json_object_agg(v.name, json_build_object('kind', v.kind, 'digest', v.digest,
    'size', v.size, 'fileName', v.file_name, 'contentType', v.content_type, 'fileCount', v.file_count))
  FROM artifact_versions v WHERE v.run_id = s.run_id AND v.step_run = s.key), '{}')`;

/** A succeeded step run, the newest first, that made something itself. */
const MADE = `FROM step_runs s JOIN runs r ON r.id = s.run_id
  WHERE s.project_id = $1 AND r.pipeline_id = $2 AND s.key = $3 AND s.state = 'succeeded' AND s.taken_from_run IS NULL`;

/** The newest step run with this key that is young enough; null when there is none. */
export async function findCached(
  db: Queryable,
  { project, pipelineId, stepRun }: CacheScope,
  key: string,
  ttlMs: number | null,
): Promise<CacheHit | null> {
  const { rows } = await db.query<CacheHit>({
    name: "find-cached",
    text: `SELECT r.id AS run, r.number, ${OUTPUTS} AS outputs ${MADE} AND s.cache_key = $4
       AND ($5::float8 IS NULL OR s.finished_at > now() - $5::float8 * interval '1 ms')
     ORDER BY s.finished_at DESC LIMIT 1`,
    values: [project, pipelineId, stepRun, key, ttlMs],
  });
  return rows[0] ?? null;
}

/** Blobs that this run's outputs of these step runs are made of, folders' files included. */
export async function blobsOf(db: Queryable, run: string, stepRun: string): Promise<string[]> {
  const { rows } = await db.query<{ digest: string }>(
    `SELECT v.digest FROM artifact_versions v WHERE v.run_id = $1 AND v.step_run = $2
     UNION SELECT b.digest FROM artifact_versions v JOIN artifact_blobs b ON b.artifact_version_id = v.id
     WHERE v.run_id = $1 AND v.step_run = $2`,
    [run, stepRun],
  );
  return rows.map(({ digest }) => digest);
}

/** What was made by a step run, and of what: to compare with. */
export interface KnownKey {
  readonly run: string;
  readonly number: number;
  readonly components: CacheComponents;
  readonly outputs: Readonly<Record<string, Content>>;
  /** Whether others may take it. */
  readonly usable: boolean;
}

/** The newest of them, at most `limit`; with `before`, of runs before that one. */
export async function knownKeys(
  db: Queryable,
  { project, pipelineId, stepRun }: CacheScope,
  options: { readonly before: string | null; readonly limit: number; readonly ttlMs: number | null },
): Promise<KnownKey[]> {
  const { rows } = await db.query<KnownKey>(
    `SELECT r.id AS run, r.number, s.cache->'components' AS components, ${OUTPUTS} AS outputs,
            s.cache_key IS NOT NULL AND ($6::float8 IS NULL OR s.finished_at > now() - $6::float8 * interval '1 ms')
              AS usable
     ${MADE} AND s.cache IS NOT NULL AND ($4::text IS NULL OR r.id < $4) ORDER BY s.finished_at DESC LIMIT $5`,
    [project, pipelineId, stepRun, options.before, options.limit, options.ttlMs],
  );
  return rows;
}

/** Step runs of a run that have a key, in the order of display. */
export async function keysOfRun(
  db: Queryable,
  run: string,
  step: string | null,
): Promise<{ stepRun: string; components: CacheComponents; takenFrom: number | null }[]> {
  const { rows } = await db.query<{ stepRun: string; components: CacheComponents; takenFrom: number | null }>(
    `SELECT s.key AS "stepRun", s.cache->'components' AS components, o.number AS "takenFrom"
     FROM step_runs s LEFT JOIN runs o ON o.id = s.taken_from_run
     WHERE s.run_id = $1 AND s.cache IS NOT NULL AND ($2::text IS NULL OR s.step = $2 OR s.key = $2)
     ORDER BY s.position, COALESCE(s.item, -1), s.key LIMIT 1000`,
    [run, step],
  );
  return rows;
}

/** Version numbers of contents of a pipeline, by digest; the newest where several have the same bytes. */
export async function versionsOf(
  db: Queryable,
  pipelineId: string,
  digests: readonly string[],
): Promise<Map<string, number>> {
  const { rows } = await db.query<{ digest: string; version: number }>(
    `SELECT v.digest, max(v.version) AS version FROM artifact_versions v JOIN artifacts a ON a.id = v.artifact_id
     WHERE a.pipeline_id = $1 AND v.digest = ANY ($2) GROUP BY v.digest`,
    [pipelineId, digests],
  );
  return new Map(rows.map(({ digest, version }) => [digest, version]));
}

/** Nothing that was made before is taken any more; returns of how many step runs that was. */
export async function forgetKeys(
  db: Queryable,
  {
    project,
    pipelineId,
    step,
  }: { readonly project: string; readonly pipelineId: string; readonly step: string | null },
): Promise<number> {
  const { rowCount } = await db.query(
    `UPDATE step_runs s SET cache_key = NULL FROM runs r
     WHERE r.id = s.run_id AND s.project_id = $1 AND r.pipeline_id = $2 AND s.cache_key IS NOT NULL
       AND ($3::text IS NULL OR s.step = $3)`,
    [project, pipelineId, step],
  );
  return rowCount ?? 0;
}

/** Notes of which step runs of a run what was taken over, and by which key. Only what is there can be taken. */
export async function takeFromCache(
  client: Queryable,
  run: { readonly id: string; readonly project: string; readonly pipelineId: string },
  hits: readonly { readonly stepRun: string; readonly from: string }[],
): Promise<number> {
  if (hits.length === 0) return 0;
  const { rowCount } = await client.query(
    `UPDATE step_runs t SET taken_from_run = s.run_id
     FROM unnest($4::text[], $5::text[]) AS h (key, "from")
       JOIN step_runs s ON s.run_id = h."from" AND s.key = h.key JOIN runs r ON r.id = s.run_id
     WHERE t.run_id = $1 AND t.key = h.key AND s.run_id <> $1 AND s.project_id = $2 AND r.pipeline_id = $3
       AND s.state = 'succeeded' AND s.taken_from_run IS NULL AND s.cache->>'key' = t.cache->>'key'`,
    [run.id, run.project, run.pipelineId, hits.map(({ stepRun }) => stepRun), hits.map(({ from }) => from)],
  );
  return rowCount ?? 0;
}
