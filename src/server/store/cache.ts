import type { CacheComponents } from "../../pipeline/cache-key.ts";
import type { Content } from "../../protocol/artifacts.ts";
import type { CacheHit, CacheLookup } from "../../protocol/cache.ts";
import type { Queryable } from "./database.ts";

/** Where keys are looked up: only the same step run of the same pipeline can have made the same. */
export interface CacheScope {
  readonly project: string;
  readonly pipelineId: string;
}

const OUTPUTS = `COALESCE((SELECT json_object_agg(v.name, json_build_object('kind', v.kind, 'digest', v.digest,
    'size', v.size, 'fileName', v.file_name, 'contentType', v.content_type, 'fileCount', v.file_count))
  FROM artifact_versions v WHERE v.run_id = s.run_id AND v.step_run = s.key AND v.expired_at IS NULL), '{}')`;

/** Whether outputs of `s` were removed, or have expired. */
const HAS_EXPIRED = `EXISTS (SELECT FROM artifact_versions v
  WHERE v.run_id = s.run_id AND v.step_run = s.key AND v.expired_at IS NOT NULL)`;

/** Succeeded step runs that made themselves what is `wanted`; see the index step_runs_made. */
const MADE = `FROM step_runs s JOIN runs r ON r.id = s.run_id
  WHERE s.project_id = $1 AND r.pipeline_id = $2 AND s.key = wanted.step_run
    AND s.state = 'succeeded' AND s.taken_from_run IS NULL AND s.cache IS NOT NULL`;

const IS_YOUNG = "(wanted.ttl_ms IS NULL OR s.finished_at > now() - wanted.ttl_ms * interval '1 ms')";

/**
 * For each lookup, in their order, the newest step run with this key that is young enough; null where there is none. A
 * result of which a version is gone has no key any more; see takeContents. It may go right after: see grantHits.
 */
export async function findCached(
  db: Queryable,
  { project, pipelineId }: CacheScope,
  lookups: readonly CacheLookup[],
): Promise<(CacheHit | null)[]> {
  const { rows } = await db.query<CacheHit & { place: number }>({
    name: "find-cached",
    text: `SELECT wanted.place, hit.*
     FROM unnest($3::text[], $4::text[], $5::float8[]) WITH ORDINALITY AS wanted (step_run, cache_key, ttl_ms, place),
       LATERAL (SELECT r.id AS run, r.number, ${OUTPUTS} AS outputs ${MADE} AND s.cache_key = wanted.cache_key
         AND ${IS_YOUNG} ORDER BY s.finished_at DESC LIMIT 1) AS hit`,
    values: [
      project,
      pipelineId,
      lookups.map(({ stepRun }) => stepRun),
      lookups.map(({ key }) => key),
      lookups.map(({ ttlMs }) => ttlMs),
    ],
  });
  const hits = new Map(rows.map(({ place, ...hit }) => [place, hit]));
  return lookups.map((_, index) => hits.get(index + 1) ?? null);
}

/** What was made by a step run, and of what: to compare with. */
export interface KnownKey {
  readonly run: string;
  readonly number: number;
  readonly components: CacheComponents;
  readonly outputs: Readonly<Record<string, Content>>;
  /** False once it was given up. */
  readonly isKept: boolean;
  /** Whether some of its outputs have expired, or were removed. */
  readonly hasExpired: boolean;
  /** Milliseconds since 1970. */
  readonly finishedAt: number;
  /** Whether others may take it: it is kept, and young enough. */
  readonly usable: boolean;
}

/** By step run, the newest of them, at most `limit`; with `before`, of runs before that one. */
export async function knownKeys(
  db: Queryable,
  { project, pipelineId }: CacheScope,
  wanted: readonly Pick<CacheLookup, "stepRun" | "ttlMs">[],
  options: { readonly before: string | null; readonly limit: number },
): Promise<Map<string, KnownKey[]>> {
  if (wanted.length === 0) return new Map();
  const { rows } = await db.query<KnownKey & { stepRun: string }>(
    `SELECT wanted.step_run AS "stepRun", known.run, known.number, known.components, known.outputs, known.usable,
            known.kept AS "isKept", known.expired AS "hasExpired", extract(epoch FROM known.finished_at)::float8 * 1000 AS "finishedAt"
     FROM unnest($3::text[], $4::float8[]) AS wanted (step_run, ttl_ms),
       LATERAL (SELECT r.id AS run, r.number, s.cache->'components' AS components, ${OUTPUTS} AS outputs,
           s.cache_key IS NOT NULL AS kept, ${HAS_EXPIRED} AS expired, s.cache_key IS NOT NULL AND ${IS_YOUNG} AS usable, s.finished_at
         ${MADE} AND ($5::text IS NULL OR r.id < $5)
         ORDER BY s.finished_at DESC LIMIT $6) AS known
     ORDER BY known.finished_at DESC`,
    [
      ...[project, pipelineId, wanted.map(({ stepRun }) => stepRun), wanted.map(({ ttlMs }) => ttlMs)],
      ...[options.before, options.limit],
    ],
  );
  const known = Map.groupBy(rows, ({ stepRun }) => stepRun);
  return new Map(wanted.map(({ stepRun }) => [stepRun, known.get(stepRun) ?? []]));
}

export interface KeyOfRun {
  readonly stepRun: string;
  readonly step: string;
  readonly components: CacheComponents;
  /** Number of the run whose result was taken. */
  readonly takenFrom: number | null;
  /** Milliseconds since 1970; it was looked up just before. */
  readonly startedAt: number | null;
}

/** Step runs of a run that have a key, in the order of display. */
export async function keysOfRun(db: Queryable, run: string, step: string | null): Promise<KeyOfRun[]> {
  const { rows } = await db.query<KeyOfRun>(
    `SELECT s.key AS "stepRun", s.step, s.cache->'components' AS components, o.number AS "takenFrom",
            extract(epoch FROM s.started_at)::float8 * 1000 AS "startedAt"
     FROM step_runs s LEFT JOIN runs o ON o.id = s.taken_from_run
     WHERE s.run_id = $1 AND s.cache IS NOT NULL AND ($2::text IS NULL OR s.step = $2 OR s.key = $2)
     ORDER BY s.position, COALESCE(s.item, -1), s.key LIMIT 1000`,
    [run, step],
  );
  return rows;
}

export async function hasStepRun(db: Queryable, run: string, key: string): Promise<boolean> {
  const { rowCount } = await db.query("SELECT FROM step_runs WHERE run_id = $1 AND key = $2", [run, key]);
  return rowCount === 1;
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

/**
 * Nothing that was made before is taken any more; returns how many results that were, not who had taken them. Locked in
 * the order in which the collector locks them, too.
 */
export async function forgetKeys(
  db: Queryable,
  {
    project,
    pipelineId,
    step,
  }: { readonly project: string; readonly pipelineId: string; readonly step: string | null },
): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    `WITH kept AS (
       SELECT s.run_id, s.key FROM step_runs s JOIN runs r ON r.id = s.run_id
       WHERE s.project_id = $1 AND r.pipeline_id = $2 AND s.cache_key IS NOT NULL AND ($3::text IS NULL OR s.step = $3)
       ORDER BY s.run_id, s.key FOR NO KEY UPDATE OF s),
     forgotten AS (
       UPDATE step_runs s SET cache_key = NULL FROM kept k WHERE s.run_id = k.run_id AND s.key = k.key
       RETURNING s.state = 'succeeded' AND s.taken_from_run IS NULL AS made)
     SELECT count(*) FILTER (WHERE made)::int AS count FROM forgotten`,
    [project, pipelineId, step],
  );
  return rows[0]!.count;
}

/**
 * Offers results to a run, which stay until it has ended, whether it takes them or not. Returns the step runs of those
 * that are still there.
 */
export async function grantHits(
  db: Queryable,
  run: string,
  hits: readonly { readonly stepRun: string; readonly from: string; readonly outputs: number }[],
): Promise<Set<string>> {
  if (hits.length === 0) return new Set();
  const { rows } = await db.query<{ stepRun: string }>({
    name: "grant-hits",
    text: `WITH hits AS (SELECT * FROM unnest($2::text[], $3::text[], $4::integer[]) AS h (key, "from", outputs)),
     held AS (
       SELECT v.step_run FROM hits h JOIN artifact_versions v ON v.run_id = h."from" AND v.step_run = h.key
       WHERE v.expired_at IS NULL ORDER BY v.id FOR KEY SHARE OF v),
     counted AS (SELECT step_run, count(*) AS outputs FROM held GROUP BY step_run)
     INSERT INTO cache_grants (run_id, step_run, from_run)
     SELECT $1, h.key, h."from" FROM hits h LEFT JOIN counted c ON c.step_run = h.key
     WHERE COALESCE(c.outputs, 0) = h.outputs
     ON CONFLICT (run_id, step_run) DO UPDATE SET from_run = EXCLUDED.from_run
     RETURNING step_run AS "stepRun"`,
    values: [run, hits.map(({ stepRun }) => stepRun), hits.map(({ from }) => from), hits.map(({ outputs }) => outputs)],
  });
  return new Set(rows.map(({ stepRun }) => stepRun));
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

/** What was offered to runs that have ended. */
export async function dropOldGrants(db: Queryable): Promise<void> {
  await db.query(
    `DELETE FROM cache_grants g USING runs r
     WHERE r.id = g.run_id AND r.state NOT IN ('queued', 'running', 'cancelling')`,
  );
}
