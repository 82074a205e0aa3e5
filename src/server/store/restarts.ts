import type { StepRunIdentity } from "../../pipeline/step-runs.ts";
import type { FixedImage } from "../../protocol/events.ts";
import type { Params, SourceRef } from "../../protocol/plan.ts";
import type { RunState } from "../../protocol/states.ts";
import type { VariableValues } from "../../protocol/variables.ts";
import type { Queryable } from "./database.ts";
import { imagesOfRun, type RunImages } from "./run-images.ts";
import type { StepRunProgress, TakenOver } from "./step-runs.ts";

/** What a restart repeats of the run that it goes on from. */
export interface OriginalRun {
  readonly pipeline: string;
  readonly pipelineId: string;
  readonly pipelineVersion: number;
  readonly number: number;
  readonly state: RunState;
  readonly params: Params;
  readonly variables: VariableValues;
  readonly source: SourceRef | null;
  readonly pool: string;
  readonly labels: readonly string[];
  readonly backend: string | null;
  readonly priority: number;
  readonly noCache: boolean;
}

export async function originalRun(db: Queryable, project: string, run: string): Promise<OriginalRun> {
  const { rows } = await db.query<OriginalRun>(
    `SELECT p.name AS pipeline, r.pipeline_id AS "pipelineId", r.pipeline_version AS "pipelineVersion", r.number, r.state,
            r.params, r.variables, r.pool, r.labels, r.backend, r.priority, r.no_cache AS "noCache",
            CASE WHEN r.source_digest IS NULL THEN NULL
                 ELSE json_build_object('digest', r.source_digest, 'size', r.source_size) END AS source
     FROM runs r JOIN pipelines p ON p.id = r.pipeline_id WHERE r.project_id = $1 AND r.id = $2`,
    [project, run],
  );
  return rows[0]!;
}

/** The images that a run used, by environment, and of those that it did not come to, what it was to use. */
export async function imagesOf(db: Queryable, run: string): Promise<RunImages> {
  const { rows } = await db.query<FixedImage & { environment: string }>(
    `SELECT DISTINCT ON (environment) environment, id, COALESCE(digest, id) AS digest, reference
     FROM (SELECT body->>'environment' AS environment, body->>'image' AS id, body->>'digest' AS digest,
         body->>'reference' AS reference, seq
       FROM run_events WHERE run_id = $1 AND body->>'type' = 'image.ready') AS ready
     ORDER BY environment, seq DESC`,
    [run],
  );
  const used = rows.map(({ environment, id, digest, reference }) => {
    return [environment, { id, digest, ...(reference !== null && { reference }) }] as const;
  });
  return { ...(await imagesOfRun(db, run)), ...Object.fromEntries(used) };
}

/** The source that the newest run of a pipeline version had; undefined when there is no such run. */
export async function newestSource(
  db: Queryable,
  pipelineId: string,
  version: number,
): Promise<SourceRef | null | undefined> {
  const { rows } = await db.query<{ digest: string | null; size: number }>(
    `SELECT source_digest AS digest, source_size AS size FROM runs
     WHERE pipeline_id = $1 AND pipeline_version = $2 ORDER BY number DESC LIMIT 1`,
    [pipelineId, version],
  );
  const [newest] = rows;
  if (newest === undefined) return undefined;
  return newest.digest === null ? null : { digest: newest.digest, size: newest.size };
}

/** A step run that ended, and the run whose attempt made what it has. */
export interface EndedStepRun extends StepRunIdentity, StepRunProgress, TakenOver {
  readonly takenFrom: string;
}

export async function endedStepRuns(db: Queryable, run: string): Promise<EndedStepRun[]> {
  const { rows } = await db.query<EndedStepRun>(
    `SELECT key, step, position, matrix, item, parent, state, items, 0 AS attempts, fault, started_at AS "startedAt",
            finished_at AS "finishedAt", COALESCE(taken_from_run, run_id) AS "takenFrom"
     FROM step_runs WHERE run_id = $1 ORDER BY position, COALESCE(item, -1), key`,
    [run],
  );
  return rows;
}

/** An output that a step run of `run` committed, by what it was reported with. */
export interface MissingOutput {
  readonly stepRun: string;
  readonly name: string;
}

/** Outputs that these step runs committed and that are not there any more; at most `limit` of them. */
export async function missingOutputs(
  db: Queryable,
  stepRuns: readonly Pick<EndedStepRun, "key" | "takenFrom">[],
  limit: number,
): Promise<MissingOutput[]> {
  const { rows } = await db.query<MissingOutput>(
    `WITH wanted AS (SELECT * FROM unnest($1::text[], $2::text[]) AS w (run, key)),
       committed AS (
         SELECT e.run_id AS run, e.body->>'stepRun' AS key, o->>'name' AS name
         FROM run_events e CROSS JOIN json_array_elements(e.body->'outputs') AS o
         WHERE e.run_id IN (SELECT run FROM wanted) AND e.body->>'type' = 'attempt.finished'
           AND e.body->>'stepState' = 'succeeded')
     SELECT c.key AS "stepRun", c.name FROM committed c JOIN wanted w ON w.run = c.run AND w.key = c.key
     WHERE NOT EXISTS (SELECT FROM artifact_versions v
       WHERE v.run_id = c.run AND v.step_run = c.key AND v.name = c.name AND v.expired_at IS NULL)
     ORDER BY c.key, c.name LIMIT $3`,
    [stepRuns.map(({ takenFrom }) => takenFrom), stepRuns.map(({ key }) => key), limit],
  );
  return rows;
}

/** Every blob behind what these step runs committed, the files of folders included, with the artifact that needs it. */
export async function blobsOf(
  db: Queryable,
  stepRuns: readonly Pick<EndedStepRun, "key" | "takenFrom">[],
): Promise<{ readonly stepRun: string; readonly name: string; readonly digest: string }[]> {
  if (stepRuns.length === 0) return [];
  const { rows } = await db.query<{ stepRun: string; name: string; digest: string }>(
    `SELECT v.step_run AS "stepRun", v.name, needed.digest
     FROM unnest($1::text[], $2::text[]) AS w (run, key)
     JOIN artifact_versions v ON v.run_id = w.run AND v.step_run = w.key,
     LATERAL (SELECT v.digest UNION SELECT f.digest FROM artifact_blobs f WHERE f.artifact_version_id = v.id) AS needed
     ORDER BY v.step_run, v.name`,
    [stepRuns.map(({ takenFrom }) => takenFrom), stepRuns.map(({ key }) => key)],
  );
  return rows;
}

/** Names of the artifacts that these step runs committed, each with its step. */
export async function artifactsOf(
  db: Queryable,
  stepRuns: readonly Pick<EndedStepRun, "key" | "takenFrom">[],
): Promise<{ readonly step: string; readonly name: string }[]> {
  if (stepRuns.length === 0) return [];
  const { rows } = await db.query<{ step: string; name: string }>(
    `SELECT DISTINCT a.step, a.name FROM unnest($1::text[], $2::text[]) AS w (run, key)
     JOIN artifact_versions v ON v.run_id = w.run AND v.step_run = w.key JOIN artifacts a ON a.id = v.artifact_id`,
    [stepRuns.map(({ takenFrom }) => takenFrom), stepRuns.map(({ key }) => key)],
  );
  return rows;
}
