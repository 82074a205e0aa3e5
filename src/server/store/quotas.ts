import type { Queryable } from "./database.ts";

export interface QuotaRow {
  /** Null: the project as a whole. */
  readonly pipeline: string | null;
  readonly maxBytes: number | null;
  readonly maxArtifactBytes: number | null;
  readonly changedBy: string;
  readonly changedAt: Date;
}

/** That of the project first. */
export async function listQuotas(db: Queryable, project: string): Promise<QuotaRow[]> {
  const { rows } = await db.query<QuotaRow>(
    `SELECT NULLIF(pipeline, '') AS pipeline, max_bytes AS "maxBytes", max_artifact_bytes AS "maxArtifactBytes",
            changed_by AS "changedBy", changed_at AS "changedAt"
     FROM quotas WHERE project_id = $1 ORDER BY quotas.pipeline`,
    [project],
  );
  return rows;
}

export async function putQuota(
  db: Queryable,
  project: string,
  { pipeline, maxBytes, maxArtifactBytes }: Pick<QuotaRow, "pipeline" | "maxBytes" | "maxArtifactBytes">,
  by: string,
): Promise<void> {
  await db.query(
    `INSERT INTO quotas (project_id, pipeline, max_bytes, max_artifact_bytes, changed_by) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (project_id, pipeline) DO UPDATE SET max_bytes = EXCLUDED.max_bytes,
       max_artifact_bytes = EXCLUDED.max_artifact_bytes, changed_by = EXCLUDED.changed_by, changed_at = now()`,
    [project, pipeline ?? "", maxBytes, maxArtifactBytes, by],
  );
}

export async function deleteQuota(db: Queryable, project: string, pipeline: string | null): Promise<boolean> {
  const { rowCount } = await db.query("DELETE FROM quotas WHERE project_id = $1 AND pipeline = $2", [
    project,
    pipeline ?? "",
  ]);
  return rowCount === 1;
}

/** Those of these blobs that count already. */
export async function heldOf(db: Queryable, project: string, digests: readonly string[]): Promise<Set<string>> {
  const { rows } = await db.query<{ digest: string }>(
    "SELECT digest FROM blobs WHERE project_id = $1 AND digest = ANY ($2)",
    [project, digests],
  );
  return new Set(rows.map(({ digest }) => digest));
}

/** What a quota is held against: the blobs of the project, or what the versions of a pipeline refer to. */
export async function usedBytes(db: Queryable, project: string, pipeline: string | null): Promise<number> {
  const { rows } = await db.query<{ bytes: number }>(
    pipeline === null
      ? "SELECT COALESCE(sum(size), 0)::float8 AS bytes FROM blobs WHERE project_id = $1"
      : `SELECT COALESCE(sum(v.size), 0)::float8 AS bytes
         FROM pipelines p JOIN artifacts a ON a.pipeline_id = p.id JOIN artifact_versions v ON v.artifact_id = a.id
         WHERE p.project_id = $1 AND p.name = $2 AND v.expired_at IS NULL`,
    pipeline === null ? [project] : [project, pipeline],
  );
  return rows[0]!.bytes;
}
