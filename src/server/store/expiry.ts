import type { RuleInForce } from "../../protocol/retention.ts";
import type { Queryable } from "./database.ts";
import { IS_NEEDED, isSince, oldestKept } from "./needed-versions.ts";
import { expiryBy, RULE_OF_VERSION, ruleInForce } from "./retention-rules.ts";

/** Where a look at what is due goes on: after the one of this time and id. */
export type DueCursor = readonly [expiresAt: string, id: number];

/** Versions whose time has come, in that order, locked against whoever takes them over; those locked are left out. */
export async function lockDueVersions(
  client: Queryable,
  {
    project,
    after,
    limit,
  }: { readonly project: string | null; readonly after: DueCursor | null; readonly limit: number },
): Promise<{ readonly id: number; readonly files: number; readonly cursor: DueCursor }[]> {
  const { rows } = await client.query<{ id: number; files: number; at: string }>(
    `SELECT id, file_count AS files, expires_at::text AS at FROM artifact_versions
     WHERE expired_at IS NULL AND pinned_at IS NULL AND expires_at <= now()
       AND ($1::text IS NULL OR project_id = $1)
       AND ($2::timestamptz IS NULL OR (expires_at, id) > ($2, $3::bigint))
     ORDER BY expires_at, id LIMIT $4 FOR UPDATE SKIP LOCKED`,
    [project, after?.[0] ?? null, after?.[1] ?? null, limit],
  );
  return rows.map(({ id, files, at }) => ({ id, files, cursor: [at, id] }));
}

export interface Verdict extends RuleInForce {
  readonly id: number;
  /** When its rule lets it go; null for never. */
  readonly endsAt: Date | null;
  /** Whether its rule keeps it as one of the newest. */
  readonly isNewest: boolean;
  /** `late`: by now its rule lets it go later, or never. `kept`: one of the newest. `needed`: by a run. */
  readonly verdict: "expired" | "late" | "kept" | "needed";
}

const IS_NEWEST = `v.last IS NOT NULL AND ${isSince("newest.oldest")}`;

/** One row for each of these versions with what becomes of it; `ids` is an SQL condition on `v`. */
function verdictsOf(condition: string): string {
  return `WITH ruled AS (
       SELECT v.*, a.step AS a_step, rule.keep_ms,
              CASE WHEN v.kept_until IS NULL THEN rule.last END AS last,
              CASE WHEN v.kept_until IS NULL THEN rule.scope ELSE 'version' END AS scope,
              CASE WHEN v.kept_until IS NULL THEN rule.subject ELSE v.kept_until_by END AS subject,
              COALESCE(v.kept_until, ${expiryBy("rule", "v.created_at")}) AS ends_at
       FROM artifact_versions v JOIN artifacts a ON a.id = v.artifact_id JOIN pipelines p ON p.id = a.pipeline_id
         CROSS JOIN LATERAL ${ruleInForce(RULE_OF_VERSION)} AS rule
       WHERE ${condition}),
     newest AS (
       SELECT a.id, l.last, ${oldestKept("l.last")} AS oldest
       FROM (SELECT DISTINCT artifact_id, last FROM ruled WHERE last IS NOT NULL) AS l JOIN artifacts a ON a.id = l.artifact_id)
     SELECT v.id, v.scope, v.subject, v.keep_ms AS "keepMs", v.last, v.ends_at AS "endsAt",
       ${IS_NEWEST} AS "isNewest",
       CASE WHEN v.ends_at IS NULL OR v.ends_at > now() THEN 'late'
            WHEN ${IS_NEWEST} THEN 'kept'
            WHEN ${IS_NEEDED} THEN 'needed' ELSE 'expired' END AS verdict
     FROM ruled v LEFT JOIN newest ON newest.id = v.artifact_id AND newest.last = v.last`;
}

/** What becomes of versions that are due, by the rules as they are now. A statement of its own, after that of the locks. */
export async function judgeVersions(client: Queryable, ids: readonly number[]): Promise<Verdict[]> {
  const { rows } = await client.query<Verdict>(verdictsOf("v.id = ANY ($1)"), [ids]);
  return rows;
}

/** How many versions of a project would go now, and what they refer to. */
export async function countDue(
  db: Queryable,
  project: string,
): Promise<{ readonly versions: number; readonly bytes: number }> {
  const due = "v.project_id = $1 AND v.expired_at IS NULL AND v.pinned_at IS NULL AND v.expires_at <= now()";
  const { rows } = await db.query<{ versions: number; bytes: number }>(
    `SELECT count(*)::int AS versions, COALESCE(sum(v.size), 0)::float8 AS bytes
     FROM (${verdictsOf(due)}) AS verdicts JOIN artifact_versions v ON v.id = verdicts.id WHERE verdicts.verdict = 'expired'`,
    [project],
  );
  return rows[0]!;
}

/** Gives versions the time that their rule gives them by now. */
export async function postpone(client: Queryable, ids: readonly number[]): Promise<void> {
  if (ids.length === 0) return;
  await client.query(
    `UPDATE artifact_versions v SET expires_at = COALESCE(v.kept_until, ${expiryBy("rule", "v.created_at")})
     FROM artifact_versions w JOIN artifacts a ON a.id = w.artifact_id JOIN pipelines p ON p.id = a.pipeline_id
       CROSS JOIN LATERAL ${ruleInForce({ ...RULE_OF_VERSION, project: "w.project_id", type: "w.type", retention: "w.retention" })} AS rule
     WHERE v.id = w.id AND w.id = ANY ($1)`,
    [ids],
  );
}

/** A version that goes, and what is written down of why. */
export interface Farewell {
  readonly id: number;
  readonly by: string;
}

/**
 * Takes the contents of versions that the caller has locked; their rows stay. Nothing takes them from the cache any more,
 * and the blobs behind them are looked at by the collector. Returns how many bytes they referred to.
 */
export async function takeContents(client: Queryable, versions: readonly Farewell[]): Promise<number> {
  if (versions.length === 0) return 0;
  const ids = versions.map(({ id }) => id);
  const { rows } = await client.query<{ bytes: number }>(
    `WITH gone AS (
       UPDATE artifact_versions v SET expired_at = now(), expired_by = g.by
       FROM unnest($1::bigint[], $2::text[]) AS g (id, by) WHERE v.id = g.id AND v.expired_at IS NULL
       RETURNING v.id, v.run_id, v.step_run, v.size),
     offered AS (
       SELECT s.run_id, s.key FROM step_runs s JOIN (SELECT DISTINCT run_id, step_run FROM gone) AS g
         ON s.run_id = g.run_id AND s.key = g.step_run
       WHERE s.cache_key IS NOT NULL ORDER BY s.run_id, s.key FOR NO KEY UPDATE OF s),
     uncached AS (
       UPDATE step_runs s SET cache_key = NULL FROM offered o WHERE s.run_id = o.run_id AND s.key = o.key)
     SELECT COALESCE(sum(size), 0)::float8 AS bytes FROM gone`,
    [ids, versions.map(({ by }) => by)],
  );
  await leaveBlobs(client, ids);
  await closeVersions(client, ids);
  return rows[0]!.bytes;
}

/**
 * The blobs of versions that are gone, of folders every file. Each is locked, for the collector may be about to note that
 * it is referred to; in one order, so that no two wait in a circle.
 */
async function leaveBlobs(client: Queryable, versions: readonly number[]): Promise<void> {
  await client.query(
    `WITH files AS (
       DELETE FROM artifact_blobs WHERE artifact_version_id = ANY ($1) RETURNING project_id, digest),
     named AS (
       SELECT project_id, digest FROM files UNION
       SELECT project_id, digest FROM artifact_versions WHERE id = ANY ($1)),
     locked AS (
       SELECT b.project_id, b.digest FROM blobs b JOIN named USING (project_id, digest)
       ORDER BY b.project_id, b.digest FOR NO KEY UPDATE OF b)
     UPDATE blobs b SET unsure_since = COALESCE(b.unsure_since, now())
     FROM locked l WHERE b.project_id = l.project_id AND b.digest = l.digest`,
    [versions],
  );
}

/**
 * Notes of which numbers nothing is there any more that their runs made. The numbers are locked first, in one order: of
 * two who take the last items at the same time, the second sees what the first has taken.
 */
async function closeVersions(client: Queryable, versions: readonly number[]): Promise<void> {
  await client.query(
    `SELECT FROM artifact_runs n
     JOIN (SELECT DISTINCT artifact_id, version FROM artifact_versions WHERE id = ANY ($1)) AS g USING (artifact_id, version)
     WHERE n.expired_at IS NULL ORDER BY n.artifact_id, n.version FOR NO KEY UPDATE OF n`,
    [versions],
  );
  await client.query(
    `UPDATE artifact_runs n SET expired_at = now()
     FROM (SELECT DISTINCT artifact_id, version FROM artifact_versions WHERE id = ANY ($1)) AS g
     WHERE n.artifact_id = g.artifact_id AND n.version = g.version AND n.expired_at IS NULL
       AND NOT EXISTS (SELECT FROM artifact_versions v
         WHERE v.artifact_id = g.artifact_id AND v.version = g.version AND v.expired_at IS NULL)`,
    [versions],
  );
}
