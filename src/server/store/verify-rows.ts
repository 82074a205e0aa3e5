import type { BlobUse } from "../../protocol/store-verify.ts";
import type { BlobRow } from "./blob-rows.ts";
import type { Queryable } from "./database.ts";

export interface VerifiedRow extends BlobRow {
  readonly digest: string;
  /** As it was found before. */
  readonly isFaulty: boolean;
}

export async function blobsAfter(
  db: Queryable,
  project: string,
  after: string,
  limit: number,
): Promise<readonly VerifiedRow[]> {
  const { rows } = await db.query<VerifiedRow>(
    `SELECT digest, size, tier, object_key AS "objectKey", damaged_at IS NOT NULL AS "isFaulty"
     FROM blobs WHERE project_id = $1 AND digest > $2 ORDER BY digest LIMIT $3`,
    [project, after, limit],
  );
  return rows;
}

export async function blobTotals(db: Queryable, project: string): Promise<{ blobs: number; bytes: number }> {
  const { rows } = await db.query<{ blobs: number; bytes: number }>(
    "SELECT count(*) AS blobs, COALESCE(sum(size), 0)::bigint AS bytes FROM blobs WHERE project_id = $1",
    [project],
  );
  return rows[0]!;
}

/** Those that are noted as damaged now: what was removed or stored again meanwhile is not among them. */
export async function stillDamaged(db: Queryable, project: string, digests: readonly string[]): Promise<Set<string>> {
  const { rows } = await db.query<{ digest: string }>(
    "SELECT digest FROM blobs WHERE project_id = $1 AND digest = ANY ($2) AND damaged_at IS NOT NULL",
    [project, digests],
  );
  return new Set(rows.map(({ digest }) => digest));
}

/** What refers to a blob: versions that are there, newest first, and sources of runs, schedules and triggers. */
export async function blobUses(db: Queryable, project: string, digest: string, limit: number): Promise<BlobUse[]> {
  const versions = await db.query<Extract<BlobUse, { kind: "artifact" }>>(
    `SELECT 'artifact' AS kind, p.name AS pipeline, a.step, a.name, v.version, v.item, r.number AS run
     FROM (SELECT id FROM artifact_versions WHERE project_id = $1 AND held_digest = $2
           UNION SELECT artifact_version_id FROM artifact_blobs WHERE project_id = $1 AND digest = $2
           ORDER BY 1 DESC LIMIT $3) AS used
     JOIN artifact_versions v USING (id) JOIN artifacts a ON a.id = v.artifact_id
     JOIN pipelines p ON p.id = a.pipeline_id JOIN runs r ON r.id = v.run_id ORDER BY v.id DESC`,
    [project, digest, limit],
  );
  const sources = await db.query<Exclude<BlobUse, { kind: "artifact" }>>(
    `(SELECT 'source' AS kind, p.name AS pipeline, r.number AS run, NULL AS name
      FROM runs r JOIN pipelines p ON p.id = r.pipeline_id
      WHERE r.project_id = $1 AND r.source_digest = $2 ORDER BY r.number DESC LIMIT $3)
     UNION ALL
     (SELECT 'schedule', p.name, NULL, s.name FROM schedules s JOIN pipelines p ON p.id = s.pipeline_id
      WHERE s.project_id = $1 AND s.source_digest = $2 LIMIT $3)
     UNION ALL
     (SELECT 'trigger', p.name, NULL, t.name FROM triggers t JOIN pipelines p ON p.id = t.pipeline_id
      WHERE t.project_id = $1 AND t.source_digest = $2 LIMIT $3)`,
    [project, digest, limit],
  );
  return [...versions.rows, ...sources.rows];
}
