import { createHash } from "node:crypto";
import { newId } from "../../protocol/ids.ts";
import { Plan } from "../../protocol/plan.ts";
import type { PipelineSummary, PipelineVersion, PipelineVersionSummary } from "../../protocol/resources.ts";
import { recordAudit, systemActor } from "./audit.ts";
import type { Queryable } from "./database.ts";

/**
 * A plan's identity. The order of keys counts: it decides the keys of matrix step runs. What plans could not say from the
 * beginning counts only where it says something, so that a pipeline that does not use it keeps its version.
 */
function planDigest({ priority, concurrency, ...plan }: Plan): string {
  const said = { ...(priority !== 0 && { priority }), ...(concurrency !== null && { concurrency }), ...plan };
  return createHash("sha256").update(JSON.stringify(said)).digest("hex");
}

/**
 * Takes the next run number of a pipeline, making the pipeline if it is new. Locks its row until the transaction ends,
 * so that runs and versions of one pipeline are made one after another.
 */
export async function takeRunNumber(
  client: Queryable,
  project: string,
  name: string,
): Promise<{ id: string; number: number; latestVersion: number }> {
  const { rows } = await client.query<{ id: string; number: number; latestVersion: number }>(
    `INSERT INTO pipelines AS p (id, project_id, name, last_run_number) VALUES ($1, $2, $3, 1)
     ON CONFLICT (project_id, name) DO UPDATE SET last_run_number = p.last_run_number + 1
     RETURNING id, last_run_number AS number, latest_version AS "latestVersion"`,
    [newId("pipeline"), project, name],
  );
  return rows[0]!;
}

/** A pipeline, made if it is new, without a run; with the database's clock. Locks its row like takeRunNumber. */
export async function takePipeline(
  client: Queryable,
  project: string,
  name: string,
): Promise<{ id: string; latestVersion: number; now: Date }> {
  const { rows } = await client.query<{ id: string; latestVersion: number; now: Date }>(
    `INSERT INTO pipelines AS p (id, project_id, name) VALUES ($1, $2, $3)
     ON CONFLICT (project_id, name) DO UPDATE SET name = p.name
     RETURNING id, latest_version AS "latestVersion", now() AS now`,
    [newId("pipeline"), project, name],
  );
  return rows[0]!;
}

/** For whoever locks runs of a pipeline before it makes one: whoever stops runs for a new one has this lock already. */
export async function lockPipeline(client: Queryable, project: string, name: string): Promise<void> {
  await client.query("SELECT FROM pipelines WHERE project_id = $1 AND name = $2 FOR NO KEY UPDATE", [project, name]);
}

export interface NewVersion {
  readonly project: string;
  readonly source: string;
  readonly plan: Plan;
  readonly by: string;
}

/** The version that holds this plan: the newest one where nothing changed, else one more. */
export async function ensureVersion(
  client: Queryable,
  pipeline: { readonly id: string; readonly latestVersion: number },
  { project, source, plan, by }: NewVersion,
): Promise<number> {
  const digest = planDigest(plan);
  const latest = await client.query<{ digest: string }>(
    "SELECT digest FROM pipeline_versions WHERE pipeline_id = $1 AND version = $2",
    [pipeline.id, pipeline.latestVersion],
  );
  if (latest.rows[0]?.digest === digest) return pipeline.latestVersion;
  const version = pipeline.latestVersion + 1;
  await client.query("UPDATE pipelines SET latest_version = $2 WHERE id = $1", [pipeline.id, version]);
  await client.query(
    `INSERT INTO pipeline_versions (pipeline_id, version, project_id, digest, source, plan, created_by)
     VALUES ($1, $2, $3, $4, $5, $6, $7)`,
    [pipeline.id, version, project, digest, source, JSON.stringify(plan), by],
  );
  const details = { version, digest };
  await recordAudit(client, {
    project,
    action: "pipeline.version",
    subject: plan.name,
    details,
    actor: systemActor(by),
  });
  return version;
}

/** One version; the newest where none is named. Null when there is none. */
export async function findVersion(
  db: Queryable,
  project: string,
  name: string,
  version: number | null,
): Promise<PipelineVersion | null> {
  const { rows } = await db.query(
    `SELECT p.name AS pipeline, v.version, v.digest, v.created_by AS "createdBy", v.created_at AS "createdAt", v.source,
            v.plan
     FROM pipelines p JOIN pipeline_versions v ON v.pipeline_id = p.id
     WHERE p.project_id = $1 AND p.name = $2 AND v.version = COALESCE($3, p.latest_version)`,
    [project, name, version],
  );
  const row = rows[0];
  if (row === undefined) return null;
  // What a plan could not say yet when it was stored has its default.
  return { ...row, plan: Plan.parse(row.plan), createdAt: row.createdAt.toISOString() };
}

/** Versions of one pipeline, newest first, below `before`. */
export async function listVersions(
  db: Queryable,
  project: string,
  name: string,
  { before, limit }: { before: number | null; limit: number },
): Promise<PipelineVersionSummary[]> {
  const { rows } = await db.query(
    `SELECT p.name AS pipeline, v.version, v.digest, v.created_by AS "createdBy", v.created_at AS "createdAt"
     FROM pipelines p JOIN pipeline_versions v ON v.pipeline_id = p.id
     WHERE p.project_id = $1 AND p.name = $2 AND ($3::integer IS NULL OR v.version < $3)
     ORDER BY v.version DESC LIMIT $4`,
    [project, name, before, limit],
  );
  return rows.map((row) => ({ ...row, createdAt: row.createdAt.toISOString() }));
}

/** Pipelines by name, after `after`; one pipeline when `name` is given. */
export async function listPipelines(
  db: Queryable,
  project: string,
  { name, after, limit, recent }: { name: string | null; after: string | null; limit: number; recent: number },
): Promise<PipelineSummary[]> {
  const { rows } = await db.query(
    `SELECT p.name, p.latest_version AS "latestVersion", p.created_at AS "createdAt", r.id AS run, r.number, r.state,
            r.created_at AS "runAt", newest.runs AS recent
     FROM pipelines p LEFT JOIN runs r ON r.pipeline_id = p.id AND r.number = p.last_run_number
       CROSS JOIN LATERAL (
         SELECT COALESCE(json_agg(json_build_object('id', id, 'number', number, 'state', state, 'createdAt', created_at,
           'startedAt', started_at, 'finishedAt', finished_at) ORDER BY id DESC), '[]') AS runs
         FROM (SELECT * FROM runs WHERE pipeline_id = p.id ORDER BY id DESC LIMIT $5) taken) newest
     WHERE p.project_id = $1 AND ($2::text IS NULL OR p.name = $2) AND ($3::text IS NULL OR p.name > $3)
     ORDER BY p.name LIMIT $4`,
    [project, name, after, limit, recent],
  );
  return rows.map((row) => ({
    ...trendOf(row.recent),
    name: row.name,
    latestVersion: row.latestVersion,
    createdAt: row.createdAt.toISOString(),
    lastRun:
      row.run === null
        ? null
        : { id: row.run, number: row.number, state: row.state, createdAt: row.runAt.toISOString() },
  }));
}

/** Times in JSON of the database have an offset of their own. */
function trendOf(rows: PipelineSummary["recent"]): Pick<PipelineSummary, "recent" | "successRate"> {
  const iso = (time: string | null) => (time === null ? null : new Date(time).toISOString());
  const recent = rows.map(({ createdAt, startedAt, finishedAt, ...run }) => {
    return { ...run, createdAt: iso(createdAt)!, startedAt: iso(startedAt), finishedAt: iso(finishedAt) };
  });
  const countOf = (state: string) => recent.filter((run) => run.state === state).length;
  const ended = countOf("succeeded") + countOf("failed");
  return { recent, successRate: ended === 0 ? null : countOf("succeeded") / ended };
}

/** Of all versions of a pipeline, by name. */
export async function stepNamesOf(db: Queryable, pipelineId: string): Promise<string[]> {
  const { rows } = await db.query<{ name: string }>(
    `SELECT DISTINCT step->>'name' AS name
     FROM pipeline_versions v CROSS JOIN jsonb_array_elements(v.plan::jsonb->'steps') AS step
     WHERE v.pipeline_id = $1 ORDER BY name`,
    [pipelineId],
  );
  return rows.map(({ name }) => name);
}

export async function pipelineNameOf(db: Queryable, id: string): Promise<string> {
  const { rows } = await db.query<{ name: string }>("SELECT name FROM pipelines WHERE id = $1", [id]);
  return rows[0]!.name;
}

export async function pipelineIdOf(db: Queryable, project: string, name: string): Promise<string | null> {
  const { rows } = await db.query<{ id: string }>("SELECT id FROM pipelines WHERE project_id = $1 AND name = $2", [
    project,
    name,
  ]);
  return rows[0]?.id ?? null;
}
