import type { Queryable } from "./database.ts";

/** A version of an artifact as one step run read it or made it; of a batch, all items that it read are one. */
export interface Dataset {
  readonly pipeline: string;
  readonly step: string;
  readonly name: string;
  readonly version: number;
  /** 1 for a plain step, and for an item alone. */
  readonly items: number;
  /** Of a single one. */
  readonly item: string | null;
  readonly digest: string | null;
  readonly kind: "file" | "folder";
  readonly size: number;
  readonly fileCount: number;
  readonly fileName: string;
  readonly contentType: string;
}

export interface ReadDataset extends Dataset {
  readonly stepRun: string;
  readonly input: string;
}

export interface MadeDataset extends Dataset {
  readonly stepRun: string;
  readonly attempt: number;
  readonly createdAt: string;
  /** The shape of the content in the words of its step; null where it said none. */
  readonly schema: unknown;
  readonly tags: Readonly<Record<string, string>>;
}

const SINGLE = (column: string) => `CASE WHEN count(*) = 1 THEN min(${column}) END`;

/** What these step runs of a run read, by input and version. */
export async function datasetsRead(db: Queryable, run: string, stepRuns: readonly string[]): Promise<ReadDataset[]> {
  const { rows } = await db.query<ReadDataset>(
    `SELECT i.step_run AS "stepRun", i.input, p.name AS pipeline, a.step, a.name, v.version, count(*)::int AS items,
            ${SINGLE("v.item")} AS item, ${SINGLE("v.digest")} AS digest, min(v.kind) AS kind, sum(v.size)::bigint AS size,
            sum(v.file_count)::int AS "fileCount", min(v.file_name) AS "fileName", min(v.content_type) AS "contentType"
     FROM artifact_inputs i JOIN artifact_versions v ON v.id = i.artifact_version_id
     JOIN artifacts a ON a.id = v.artifact_id JOIN pipelines p ON p.id = a.pipeline_id
     WHERE i.run_id = $1 AND i.step_run = ANY ($2)
     GROUP BY i.step_run, i.input, p.name, a.step, a.name, v.version
     ORDER BY i.step_run, i.input, p.name, a.step, a.name, v.version`,
    [run, stepRuns],
  );
  return rows;
}

/** What these step runs of a run made themselves. */
export async function datasetsMade(db: Queryable, run: string, stepRuns: readonly string[]): Promise<MadeDataset[]> {
  const { rows } = await db.query<Omit<MadeDataset, "createdAt"> & { createdAt: Date }>(
    `SELECT v.step_run AS "stepRun", v.attempt, p.name AS pipeline, a.step, a.name, v.version, 1 AS items, v.item,
            v.digest, v.kind, v.size, v.file_count AS "fileCount", v.file_name AS "fileName",
            v.content_type AS "contentType", v.created_at AS "createdAt", v.schema,
            (SELECT COALESCE(json_object_agg(t.key, t.value ORDER BY t.key), '{}') FROM artifact_tags t
             WHERE t.artifact_version_id = v.id AND t.value IS NOT NULL) AS tags
     FROM artifact_versions v JOIN artifacts a ON a.id = v.artifact_id JOIN pipelines p ON p.id = a.pipeline_id
     WHERE v.run_id = $1 AND v.step_run = ANY ($2) ORDER BY v.step_run, v.name`,
    [run, stepRuns],
  );
  return rows.map((row) => ({ ...row, createdAt: row.createdAt.toISOString() }));
}
