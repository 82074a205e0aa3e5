import type { LineageRun } from "../../protocol/lineage.ts";
import type { Queryable } from "./database.ts";

/** One item of a version, and the step run that made it. */
export interface MemberVersion {
  readonly id: number;
  readonly pipeline: string;
  readonly step: string;
  readonly name: string;
  readonly version: number;
  readonly item: string;
  readonly run: string;
  readonly stepRun: string;
  readonly kind: "file" | "folder";
  readonly digest: string;
  readonly size: number;
  readonly isExpired: boolean;
}

/** A step run, of which `step` is what its key belongs to. */
export interface MemberStepRun {
  readonly run: string;
  readonly key: string;
  readonly step: string;
}

export async function membersById(
  db: Queryable,
  project: string,
  ids: readonly number[],
): Promise<readonly MemberVersion[]> {
  const { rows } = await db.query<MemberVersion>(
    `SELECT v.id, p.name AS pipeline, a.step, a.name, v.version, v.item, v.run_id AS run, v.step_run AS "stepRun",
            v.kind, v.digest, v.size, v.expired_at IS NOT NULL AS "isExpired"
     FROM unnest($2::bigint[]) AS wanted (id) JOIN artifact_versions v ON v.id = wanted.id
     JOIN artifacts a ON a.id = v.artifact_id JOIN pipelines p ON p.id = a.pipeline_id
     WHERE v.project_id = $1 ORDER BY v.id`,
    [project, ids],
  );
  return rows;
}

/** What step runs of one step in one run read of one version under one name. */
export interface Reads extends Pick<MemberStepRun, "run" | "step"> {
  readonly input: string;
  /** Ids of the items that were read. */
  readonly versions: readonly number[];
  /** Rows that say so: each step run says it for itself. */
  readonly rows: number;
}

/** The versions that these step runs read, each once for every step and input; rows beyond `limit` are left out. */
export async function readsOf(db: Queryable, stepRuns: readonly MemberStepRun[], limit: number): Promise<Reads[]> {
  const { rows } = await db.query<Reads>(
    `SELECT run, step, input, json_agg(DISTINCT id) AS versions, count(*)::int AS rows
     FROM (SELECT i.run_id AS run, reader.step, i.input, i.artifact_version_id AS id
       FROM unnest($1::text[], $2::text[], $3::text[]) AS reader (run, key, step)
       JOIN artifact_inputs i ON i.run_id = reader.run AND i.step_run = reader.key LIMIT $4) AS reads
     GROUP BY run, step, input`,
    [stepRuns.map(({ run }) => run), stepRuns.map(({ key }) => key), stepRuns.map(({ step }) => step), limit],
  );
  return rows;
}

/** Who read what, one by one. */
export interface Reader extends MemberStepRun {
  readonly input: string;
  /** Id of the item that it read. */
  readonly read: number;
}

/** The step runs that read these versions; at most `limit` rows. */
export async function readersOf(
  db: Queryable,
  project: string,
  versions: readonly number[],
  limit: number,
): Promise<Reader[]> {
  const { rows } = await db.query<Reader>(
    `SELECT i.run_id AS run, i.step_run AS key, s.step, i.input, i.artifact_version_id AS read
     FROM unnest($2::bigint[]) AS wanted (id) JOIN artifact_inputs i ON i.artifact_version_id = wanted.id
     JOIN step_runs s ON s.run_id = i.run_id AND s.key = i.step_run
     WHERE i.project_id = $1 LIMIT $3`,
    [project, versions, limit],
  );
  return rows;
}

/** Ids of what these step runs made; at most `limit`. */
export async function madeBy(
  db: Queryable,
  stepRuns: readonly Pick<MemberStepRun, "run" | "key">[],
  limit: number,
): Promise<number[]> {
  const { rows } = await db.query<{ id: number }>(
    `SELECT v.id FROM unnest($1::text[], $2::text[]) AS maker (run, key)
     JOIN artifact_versions v ON v.run_id = maker.run AND v.step_run = maker.key LIMIT $3`,
    [stepRuns.map(({ run }) => run), stepRuns.map(({ key }) => key), limit],
  );
  return rows.map(({ id }) => id);
}

export async function runsById(db: Queryable, project: string, ids: readonly string[]): Promise<LineageRun[]> {
  const { rows } = await db.query<Omit<LineageRun, "createdAt"> & { createdAt: Date }>(
    `SELECT r.id, p.name || '#' || r.number AS name, r.pipeline_version AS "pipelineVersion", r.state, r.params,
            r.source_digest AS source, r.created_by AS "createdBy", r.created_at AS "createdAt",
            CASE WHEN o.id IS NULL THEN NULL
                 ELSE json_build_object('id', o.id, 'name', p.name || '#' || o.number) END AS "restartOf"
     FROM runs r JOIN pipelines p ON p.id = r.pipeline_id LEFT JOIN runs o ON o.id = r.restart_of
     WHERE r.project_id = $1 AND r.id = ANY ($2) ORDER BY r.id`,
    [project, ids],
  );
  return rows.map((row) => ({ ...row, createdAt: row.createdAt.toISOString() }));
}

export interface Takers extends Pick<MemberStepRun, "run" | "step"> {
  readonly takers: readonly { readonly id: string; readonly name: string }[];
}

/**
 * The newest runs that took over what these steps made, at most `limit` of each. A step of a batch was taken over once per
 * item, so that the index is asked for the next older run again and again, instead of being read.
 */
export async function takersOf(
  db: Queryable,
  steps: readonly Pick<MemberStepRun, "run" | "step">[],
  limit: number,
): Promise<Takers[]> {
  const { rows } = await db.query<Takers>(
    `WITH RECURSIVE taker AS (
       SELECT maker.run, maker.step, 1 AS place,
              (SELECT max(s.run_id) FROM step_runs s WHERE s.taken_from_run = maker.run AND s.step = maker.step) AS id
       FROM unnest($1::text[], $2::text[]) AS maker (run, step)
       UNION ALL
       SELECT t.run, t.step, t.place + 1,
              (SELECT max(s.run_id) FROM step_runs s
               WHERE s.taken_from_run = t.run AND s.step = t.step AND s.run_id < t.id)
       FROM taker t WHERE t.id IS NOT NULL AND t.place < $3)
     SELECT t.run, t.step, json_agg(json_build_object('id', r.id, 'name', p.name || '#' || r.number) ORDER BY t.place) AS takers
     FROM taker t JOIN runs r ON r.id = t.id JOIN pipelines p ON p.id = r.pipeline_id GROUP BY t.run, t.step`,
    [steps.map(({ run }) => run), steps.map(({ step }) => step), limit],
  );
  return rows;
}
