import type { AttemptImage } from "../../protocol/events.ts";
import type { Scalar } from "../../protocol/names.ts";
import type { Params } from "../../protocol/plan.ts";
import type { ProvenanceKey } from "../../protocol/provenance.ts";
import type { Queryable } from "./database.ts";

export async function registerKey(db: Queryable, { id, publicKey }: Pick<ProvenanceKey, "id" | "publicKey">) {
  await db.query("INSERT INTO provenance_keys (id, public_key) VALUES ($1, $2) ON CONFLICT DO NOTHING", [
    id,
    publicKey,
  ]);
}

/** Every key that ever was, the oldest first. */
export async function listKeys(db: Queryable): Promise<Omit<ProvenanceKey, "current">[]> {
  const { rows } = await db.query<{ id: string; publicKey: string; firstUsedAt: Date }>(
    `SELECT id, public_key AS "publicKey", first_used_at AS "firstUsedAt" FROM provenance_keys ORDER BY first_used_at, id`,
  );
  return rows.map((row) => ({ ...row, firstUsedAt: row.firstUsedAt.toISOString() }));
}

export interface SignedProvenance {
  readonly keyId: string;
  readonly payload: Buffer;
  readonly signature: Buffer;
}

export async function findProvenance(db: Queryable, version: number): Promise<SignedProvenance | null> {
  const { rows } = await db.query<SignedProvenance>(
    `SELECT key_id AS "keyId", payload, signature FROM artifact_provenance WHERE artifact_version_id = $1`,
    [version],
  );
  return rows[0] ?? null;
}

/** Keeps what was signed first; false where that was another. */
export async function insertProvenance(
  db: Queryable,
  project: string,
  version: number,
  { keyId, payload, signature }: SignedProvenance,
): Promise<boolean> {
  const { rowCount } = await db.query(
    `INSERT INTO artifact_provenance (artifact_version_id, project_id, key_id, payload, signature)
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
    [version, project, keyId, payload, signature],
  );
  return rowCount === 1;
}

/** How a version was made; all of it was committed with it or before. */
export interface MakingFacts {
  readonly planDigest: string;
  readonly pipelineVersion: number;
  readonly params: Params;
  readonly sourceDigest: string | null;
  readonly step: string;
  readonly matrix: Readonly<Record<string, Scalar>> | null;
  readonly batchItem: number | null;
  readonly epoch: number;
  readonly backend: string;
  readonly image: AttemptImage | null;
  readonly memoryBytes: number | null;
  readonly timeoutMs: number | null;
  readonly worker: string;
  readonly workerName: string;
  readonly startedAt: Date;
  readonly finishedAt: Date;
}

export async function makingOf(
  db: Queryable,
  { run, stepRun, attempt }: { readonly run: string; readonly stepRun: string; readonly attempt: number },
): Promise<MakingFacts> {
  const { rows } = await db.query<MakingFacts>(
    `SELECT pv.digest AS "planDigest", r.pipeline_version AS "pipelineVersion", r.params,
            r.source_digest AS "sourceDigest", s.step, s.matrix, s.item AS "batchItem", a.epoch, a.backend, a.image,
            a.memory_bytes AS "memoryBytes", a.timeout_ms AS "timeoutMs", w.id AS worker, w.name AS "workerName",
            a.started_at AS "startedAt", a.finished_at AS "finishedAt"
     FROM attempts a JOIN step_runs s ON s.run_id = a.run_id AND s.key = a.step_run JOIN runs r ON r.id = a.run_id
     JOIN pipeline_versions pv ON pv.pipeline_id = r.pipeline_id AND pv.version = r.pipeline_version
     JOIN workers w ON w.id = a.worker_id
     WHERE a.run_id = $1 AND a.step_run = $2 AND a.attempt = $3`,
    [run, stepRun, attempt],
  );
  return rows[0]!;
}

export interface InputFact {
  readonly input: string;
  readonly pipeline: string;
  readonly step: string;
  readonly name: string;
  readonly version: number;
  readonly item: string;
  readonly digest: string;
}

/** Every version that a step run read, items one by one. */
export async function inputsOf(db: Queryable, run: string, stepRun: string): Promise<InputFact[]> {
  const { rows } = await db.query<InputFact>(
    `SELECT i.input, p.name AS pipeline, a.step, a.name, v.version, v.item, v.digest
     FROM artifact_inputs i JOIN artifact_versions v ON v.id = i.artifact_version_id
     JOIN artifacts a ON a.id = v.artifact_id JOIN pipelines p ON p.id = a.pipeline_id
     WHERE i.run_id = $1 AND i.step_run = $2
     ORDER BY i.input, p.name, a.step, a.name, v.version, v.id`,
    [run, stepRun],
  );
  return rows;
}
