import type { Content } from "../../protocol/artifacts.ts";
import { BerthError } from "../../protocol/errors.ts";
import type { OutputNotes } from "../../protocol/output-notes.ts";
import type { FileRule } from "../../protocol/retention.ts";
import { insertStepTags } from "./artifact-tags.ts";
import type { Queryable } from "./database.ts";
import { jsonParameter } from "./json-parameter.ts";
import { expiryBy, ruleInForce } from "./retention-rules.ts";

/** Who commits: the holder of a run's row lock. */
export interface Committer {
  readonly project: string;
  readonly run: string;
  readonly pipelineId: string;
  readonly worker: string;
}

export interface ArtifactName {
  readonly step: string;
  readonly name: string;
}

/** Id and version number that an artifact has in this run. */
export interface ArtifactInRun extends ArtifactName {
  readonly id: number;
  readonly version: number;
}

async function findArtifactsInRun(
  client: Queryable,
  { run, pipelineId }: Committer,
  names: readonly ArtifactName[],
): Promise<ArtifactInRun[]> {
  const { rows } = await client.query<ArtifactInRun>({
    name: "find-artifacts-in-run",
    text: `SELECT a.id, a.step, a.name, r.version
     FROM unnest($3::text[], $4::text[]) AS wanted (step, name)
     JOIN artifacts a ON a.pipeline_id = $2 AND a.step = wanted.step AND a.name = wanted.name
     JOIN artifact_runs r ON r.artifact_id = a.id AND r.run_id = $1`,
    values: [run, pipelineId, names.map(({ step }) => step), names.map(({ name }) => name)],
  });
  return rows;
}

/**
 * The version that each artifact has in this run, taking the next number on its first commit. All items of a batch or
 * matrix share it. Rows are made and locked in one order, so that runs of one pipeline never wait for each other in turn.
 */
export async function artifactsInRun(
  client: Queryable,
  committer: Committer,
  names: readonly ArtifactName[],
): Promise<ArtifactInRun[]> {
  const known = await findArtifactsInRun(client, committer, names);
  const knownNames = new Set(known.map(artifactKey));
  const fresh = names.filter((name) => !knownNames.has(artifactKey(name)));
  if (fresh.length === 0) return known;
  const steps = fresh.map(({ step }) => step);
  const outputs = fresh.map(({ name }) => name);
  await client.query(
    `INSERT INTO artifacts (project_id, pipeline_id, step, name)
     SELECT $1, $2, n.step, n.name FROM unnest($3::text[], $4::text[]) AS n (step, name) ORDER BY n.step, n.name
     ON CONFLICT DO NOTHING`,
    [committer.project, committer.pipelineId, steps, outputs],
  );
  await client.query(
    `WITH locked AS (
       SELECT a.id FROM artifacts a JOIN unnest($4::text[], $5::text[]) AS n (step, name) USING (step, name)
       WHERE a.pipeline_id = $3 ORDER BY a.step, a.name FOR NO KEY UPDATE OF a),
     counted AS (
       UPDATE artifacts a SET latest_version = latest_version + 1 FROM locked WHERE a.id = locked.id
       RETURNING a.id, a.latest_version)
     INSERT INTO artifact_runs (artifact_id, run_id, project_id, version) SELECT id, $2, $1, latest_version FROM counted`,
    [committer.project, committer.run, committer.pipelineId, steps, outputs],
  );
  return findArtifactsInRun(client, committer, names);
}

export function artifactKey({ step, name }: ArtifactName): string {
  return `${step}/${name}`;
}

export interface NewArtifactVersion {
  readonly artifact: ArtifactInRun;
  readonly item: string;
  readonly stepRun: string;
  readonly attempt: number;
  readonly content: Content;
  readonly notes: OutputNotes;
  /** What a folder's manifest names. */
  readonly blobs: readonly string[];
  /** As its step declares it. */
  readonly type: string;
  /** What its pipeline file says of how long it is kept. */
  readonly rule: FileRule | null;
}

/** Of an artifact in this commit; the pipeline is asked for once: the subquery depends on nothing. */
const RULE = ruleInForce({
  ...{ project: "$1", type: "u.type", retention: "u.rule" },
  path: "(SELECT name FROM pipelines WHERE id = $5) || '/' || u.step || '/' || u.name",
});

/** Makes the versions, with a row for each blob that a folder is made of. */
export async function insertArtifactVersions(
  client: Queryable,
  { project, run, pipelineId, worker }: Committer,
  versions: readonly NewArtifactVersion[],
): Promise<void> {
  const rows = versions.map(({ artifact, content, notes, item, stepRun, attempt, type, rule }, place) => ({
    ...{ ...content, schema: notes.schema, format: notes.format, item, stepRun, attempt, type, rule, place },
    ...{ artifact: artifact.id, version: artifact.version, name: artifact.name },
  }));
  // All items of an artifact are declared in one place, so what holds for it is looked up once.
  const artifacts = [...new Map(versions.map((version) => [version.artifact.id, version])).values()];
  const declared = artifacts.map(({ artifact: { id, step, name }, type, rule }) => ({ id, step, name, type, rule }));
  const inserted = await client.query<{ id: number; stepRun: string; name: string }>({
    name: "insert-artifact-versions",
    text: `WITH ruled AS MATERIALIZED (
       SELECT u.id, ${expiryBy("in_force", "now()")} AS expires_at
       FROM json_to_recordset($6::json) AS u (id bigint, step text, name text, type text, rule jsonb)
         CROSS JOIN LATERAL ${RULE} AS in_force)
     INSERT INTO artifact_versions (project_id, artifact_id, version, item, run_id, step_run, attempt, name, worker_id,
       kind, digest, size, file_count, file_name, content_type, schema, format, type, retention, expires_at)
     SELECT $1, v.artifact, v.version, v.item, $2, v."stepRun", v.attempt, v.name, $3, v.kind, v.digest, v.size,
            v."fileCount", v."fileName", v."contentType", v.schema, v.format, v.type, v.rule, ruled.expires_at
     FROM json_to_recordset($4::json) AS v (artifact bigint, version integer, item text, "stepRun" text,
       attempt integer, name text, kind text, digest text, size bigint, "fileCount" integer, "fileName" text,
       "contentType" text, schema json, format text, type text, rule jsonb, place integer) JOIN ruled ON ruled.id = v.artifact
     ORDER BY v.place RETURNING id, step_run AS "stepRun", name`,
    values: [project, run, worker, jsonParameter(rows), pipelineId, jsonParameter(declared)],
  });
  const folders = versions.filter(({ blobs }) => blobs.length > 0);
  const tagged = versions.filter(({ notes }) => notes.tags !== undefined);
  if (folders.length === 0 && tagged.length === 0) return;
  const key = (stepRun: string, name: string) => `${name} ${stepRun}`;
  const ids = new Map(inserted.rows.map(({ id, stepRun, name }) => [key(stepRun, name), id]));
  const idOf = ({ artifact, stepRun }: NewArtifactVersion) => ids.get(key(stepRun, artifact.name))!;
  await insertStepTags(
    client,
    project,
    tagged.map((version) => ({ version: idOf(version), tags: version.notes.tags! })),
  );
  if (folders.length === 0) return;
  const references = folders.flatMap((folder) => folder.blobs.map((digest) => ({ id: idOf(folder), digest })));
  await client.query(
    `INSERT INTO artifact_blobs (artifact_version_id, project_id, digest)
     SELECT id, $1, digest FROM unnest($2::bigint[], $3::text[]) AS b (id, digest)`,
    [project, references.map(({ id }) => id), references.map(({ digest }) => digest)],
  );
}

export interface NewLineage {
  readonly stepRun: string;
  readonly input: string;
  readonly producer: string;
  readonly artifact: string;
  readonly digest: string;
}

/** Writes down which versions went into the outputs; throws `conflict` when one of them is not committed. */
export async function insertLineage(
  client: Queryable,
  { project, run }: Committer,
  lineage: readonly NewLineage[],
): Promise<void> {
  if (lineage.length === 0) return;
  const { rows } = await client.query<NewLineage>({
    name: "insert-lineage",
    text: `WITH given AS (
       SELECT DISTINCT g.*, v.id
       FROM json_to_recordset($3::json) AS g ("stepRun" text, input text, producer text, artifact text, digest text)
       LEFT JOIN step_runs s ON s.run_id = $1 AND s.key = g.producer
       LEFT JOIN artifact_versions v
         ON v.run_id = COALESCE(s.taken_from_run, s.run_id) AND v.step_run = g.producer AND v.name = g.artifact AND v.digest = g.digest),
     written AS (
       INSERT INTO artifact_inputs (run_id, step_run, input, artifact_version_id, project_id)
       SELECT $1, "stepRun", input, id, $2 FROM given WHERE id IS NOT NULL)
     SELECT "stepRun", input, producer, artifact, digest FROM given WHERE id IS NULL LIMIT 1`,
    values: [run, project, jsonParameter(lineage)],
  });
  const missing = rows[0];
  if (missing === undefined) return;
  throw new BerthError(
    "conflict",
    `${missing.stepRun} read ${missing.artifact} of ${missing.producer} as "${missing.input}", which is not committed ` +
      `with SHA-256 ${missing.digest}.`,
    {
      advice: "Report the success of a step run only after those of everything that it read.",
      details: { ...missing },
    },
  );
}
