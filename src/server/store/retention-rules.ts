import { DEFAULT_KEEP_MS, type RetentionRule } from "../../protocol/retention.ts";
import type { Queryable } from "./database.ts";

/** Where the facts that decide about a version's rule stand in a query: names of columns, or expressions. */
export interface RuleColumns {
  readonly project: string;
  /** `pipeline/step/artifact` */
  readonly path: string;
  readonly type: string;
  /** The FileRule. */
  readonly retention: string;
}

/** Of rows `v` of artifact_versions, joined with their `a` of artifacts and `p` of pipelines. */
export const RULE_OF_VERSION: RuleColumns = {
  project: "v.project_id",
  path: "p.name || '/' || a.step || '/' || a.name",
  type: "v.type",
  retention: "v.retention",
};

/** A row (scope, subject, keep_ms, last): of everything that is said of a version the most specific. */
export function ruleInForce({ project, path, type, retention }: RuleColumns): string {
  return `(SELECT said.scope, said.subject, said.keep_ms, said.last FROM (
      SELECT CASE r.scope WHEN 'artifact' THEN 1 WHEN 'type' THEN 4 WHEN 'project' THEN 5 ELSE 6 END AS rank,
             r.scope, r.subject, r.keep_ms, r.last
      FROM retention_rules r
      WHERE (r.project_id = ${project} OR r.project_id IS NULL) AND r.subject IN ('', ${type}, ${path})
      UNION ALL
      SELECT CASE f.of WHEN 'output' THEN 2 ELSE 3 END, f.of, '', f."keepMs", f.last
      FROM jsonb_to_record(${retention}) AS f (of text, "keepMs" bigint, last integer) WHERE f.of IS NOT NULL
      UNION ALL SELECT 7, 'default', '', ${DEFAULT_KEEP_MS}, NULL
    ) AS said ORDER BY said.rank LIMIT 1)`;
}

/** When a version that was made at `madeAt` is let go by `rule`, a row of ruleInForce; NULL is never. */
export function expiryBy(rule: string, madeAt: string): string {
  return `${madeAt} + ${rule}.keep_ms * interval '1 ms'`;
}

/** What is said outside of pipeline files. */
export interface SettingsRule extends RetentionRule {
  readonly scope: "installation" | "project" | "type" | "artifact";
  readonly subject: string;
  readonly changedBy: string;
  readonly changedAt: Date;
}

/** Of a project and of the installation. */
export async function listRules(db: Queryable, project: string): Promise<SettingsRule[]> {
  const { rows } = await db.query<SettingsRule>(
    `SELECT scope, subject, keep_ms AS "keepMs", last, changed_by AS "changedBy", changed_at AS "changedAt"
     FROM retention_rules WHERE project_id = $1 OR project_id IS NULL ORDER BY scope, subject`,
    [project],
  );
  return rows;
}

export interface RuleKey {
  /** Null: the installation. */
  readonly project: string | null;
  readonly scope: SettingsRule["scope"];
  readonly subject: string;
}

export async function putRule(
  client: Queryable,
  { project, scope, subject }: RuleKey,
  { keepMs, last }: RetentionRule,
  by: string,
): Promise<void> {
  await client.query(
    `INSERT INTO retention_rules (project_id, scope, subject, keep_ms, last, changed_by) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (project_id, scope, subject) DO UPDATE SET keep_ms = EXCLUDED.keep_ms, last = EXCLUDED.last,
       changed_by = EXCLUDED.changed_by, changed_at = now()`,
    [project, scope, subject, keepMs, last, by],
  );
}

/** Whether there was one. */
export async function deleteRule(client: Queryable, { project, scope, subject }: RuleKey): Promise<boolean> {
  const { rowCount } = await client.query(
    "DELETE FROM retention_rules WHERE project_id IS NOT DISTINCT FROM $1 AND scope = $2 AND subject = $3",
    [project, scope, subject],
  );
  return rowCount === 1;
}

/** Has the collector give every version its time anew: of a project, or of all. */
export async function noteRuleChange(client: Queryable, project: string | null): Promise<void> {
  await client.query(
    `INSERT INTO retention_changes (project_id) SELECT id FROM projects WHERE $1::text IS NULL OR id = $1 ORDER BY id
     ON CONFLICT (project_id) DO UPDATE SET worked_in_to = 0`,
    [project],
  );
}

/**
 * Gives some more versions their time anew, of one project whose rules were changed; returns how many it looked at, null
 * when nothing is left to do. A change that is made meanwhile begins again.
 */
export async function workRuleChangeIn(
  client: Queryable,
  project: string | null,
  limit: number,
): Promise<number | null> {
  const { rows } = await client.query<{ project: string; from: number }>(
    `SELECT project_id AS project, worked_in_to AS "from" FROM retention_changes WHERE $1::text IS NULL OR project_id = $1
     ORDER BY project_id LIMIT 1 FOR UPDATE SKIP LOCKED`,
    [project],
  );
  const [change] = rows;
  if (change === undefined) return null;
  const looked = await client.query<{ count: number; to: number | null }>(
    `WITH anew AS (
       SELECT v.id, v.expires_at, v.created_at, v.kept_until, rule.keep_ms
       FROM (SELECT * FROM artifact_versions WHERE project_id = $1 AND id > $2 AND expired_at IS NULL ORDER BY id LIMIT $3) AS v
         JOIN artifacts a ON a.id = v.artifact_id JOIN pipelines p ON p.id = a.pipeline_id
         CROSS JOIN LATERAL ${ruleInForce(RULE_OF_VERSION)} AS rule),
     changed AS (
       UPDATE artifact_versions v SET expires_at = COALESCE(anew.kept_until, ${expiryBy("anew", "anew.created_at")})
       FROM anew WHERE v.id = anew.id AND v.expired_at IS NULL
         AND v.expires_at IS DISTINCT FROM COALESCE(anew.kept_until, ${expiryBy("anew", "anew.created_at")}))
     SELECT count(*)::int AS count, max(id) AS to
     FROM (SELECT id FROM artifact_versions WHERE project_id = $1 AND id > $2 AND expired_at IS NULL ORDER BY id LIMIT $3) AS looked`,
    [change.project, change.from, limit],
  );
  const { count, to } = looked.rows[0]!;
  if (to === null) await client.query("DELETE FROM retention_changes WHERE project_id = $1", [change.project]);
  else await client.query("UPDATE retention_changes SET worked_in_to = $2 WHERE project_id = $1", [change.project, to]);
  return count;
}
