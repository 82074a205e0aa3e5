import type { Secret, SecretAccess } from "../../protocol/secrets.ts";
import type { Queryable } from "./database.ts";

/** A secret as those see it who change it; its row is locked. */
export interface LockedSecret {
  readonly id: string;
  readonly name: string;
  readonly currentVersion: number;
}

/** Null when there is none. */
export async function lockSecret(client: Queryable, project: string, name: string): Promise<LockedSecret | null> {
  const { rows } = await client.query<LockedSecret>(
    `SELECT id, name, current_version AS "currentVersion" FROM secrets WHERE project_id = $1 AND name = $2
     FOR NO KEY UPDATE`,
    [project, name],
  );
  return rows[0] ?? null;
}

export interface NewSecret {
  readonly id: string;
  readonly project: string;
  readonly name: string;
  readonly pipelines: readonly string[] | null;
  readonly by: string;
}

/** It has no version yet: the first one is inserted in the same transaction. */
export async function insertSecret(client: Queryable, { id, project, name, pipelines, by }: NewSecret): Promise<void> {
  await client.query(
    `INSERT INTO secrets (id, project_id, name, pipelines, current_version, created_by) VALUES ($1, $2, $3, $4, 0, $5)`,
    [id, project, name, pipelines, by],
  );
}

export interface NewVersion {
  readonly project: string;
  readonly secret: string;
  readonly version: number;
  readonly keyVersion: number;
  readonly sealed: Buffer;
  readonly by: string;
}

/** Makes it the current one; of the versions before it, only the last may stay. */
export async function insertVersion(
  client: Queryable,
  { project, secret, version, keyVersion, sealed, by }: NewVersion,
  { keepPrevious }: { readonly keepPrevious: boolean },
): Promise<void> {
  await client.query("DELETE FROM secret_versions WHERE secret_id = $1 AND version < $2", [
    secret,
    keepPrevious ? version - 1 : version,
  ]);
  await client.query(
    `INSERT INTO secret_versions (secret_id, version, project_id, key_version, sealed, created_by)
     VALUES ($1, $2, $3, $4, $5, $6)`,
    [secret, version, project, keyVersion, sealed, by],
  );
  await client.query("UPDATE secrets SET current_version = $2 WHERE id = $1", [secret, version]);
}

export async function setAllowedPipelines(
  client: Queryable,
  id: string,
  pipelines: readonly string[] | null,
): Promise<void> {
  await client.query("UPDATE secrets SET pipelines = $2 WHERE id = $1", [id, pipelines]);
}

export async function deleteSecret(client: Queryable, id: string): Promise<void> {
  await client.query("DELETE FROM secrets WHERE id = $1", [id]);
}

const SECRET = `
  SELECT s.name, s.pipelines, s.created_at AS "createdAt", s.created_by AS "createdBy", last.at AS "lastUsedAt",
         (SELECT json_agg(json_build_object('version', v.version, 'current', v.version = s.current_version,
            'createdAt', v.created_at, 'createdBy', v.created_by) ORDER BY v.version DESC)
          FROM secret_versions v WHERE v.secret_id = s.id) AS versions
  FROM secrets s LEFT JOIN LATERAL
    (SELECT a.at FROM secret_accesses a WHERE a.secret_id = s.id ORDER BY a.id DESC LIMIT 1) last ON true`;

/** By name, after `after`. */
export async function listSecrets(
  db: Queryable,
  project: string,
  { after, limit }: { readonly after: string | null; readonly limit: number },
): Promise<Secret[]> {
  const { rows } = await db.query(
    `${SECRET} WHERE s.project_id = $1 AND s.registry_user IS NULL AND ($2::text IS NULL OR s.name > $2) ORDER BY s.name LIMIT $3`,
    [project, after, limit],
  );
  return rows.map(toSecret);
}

/** Null when there is none. */
export async function findSecret(db: Queryable, project: string, name: string): Promise<Secret | null> {
  const { rows } = await db.query(`${SECRET} WHERE s.project_id = $1 AND s.name = $2`, [project, name]);
  return rows[0] === undefined ? null : toSecret(rows[0]);
}

// biome-ignore lint/suspicious/noExplicitAny: the row of the query above, column by column.
function toSecret({ versions, createdAt, lastUsedAt, ...row }: any): Secret {
  return {
    ...row,
    versions: (versions as Secret["versions"]).map((version) => ({
      ...version,
      createdAt: new Date(version.createdAt).toISOString(),
    })),
    createdAt: createdAt.toISOString(),
    lastUsedAt: lastUsedAt?.toISOString() ?? null,
  };
}

/** Accesses of one secret, the newest first. */
export async function listAccesses(
  db: Queryable,
  project: string,
  name: string,
  limit: number,
): Promise<SecretAccess[]> {
  const { rows } = await db.query<Omit<SecretAccess, "at"> & { at: Date }>(
    `SELECT a.at, a.run_id AS run, a.step_run AS "stepRun", a.attempt, w.name AS worker, a.version
     FROM secrets s JOIN secret_accesses a ON a.secret_id = s.id JOIN workers w ON w.id = a.worker_id
     WHERE s.project_id = $1 AND s.name = $2 ORDER BY a.id DESC LIMIT $3`,
    [project, name, limit],
  );
  return rows.map(({ at, ...row }) => ({ ...row, at: at.toISOString() }));
}

/** A value as it is stored, and the key that it is sealed under. */
export interface SealedValue {
  readonly secret: string;
  readonly name: string;
  readonly pipelines: readonly string[] | null;
  readonly version: number;
  readonly current: boolean;
  readonly sealed: Buffer;
  readonly keyVersion: number;
  readonly sealedKey: Buffer;
}

const SEALED_VALUE = `
  SELECT s.id AS secret, s.name, s.pipelines, v.version, v.version = s.current_version AS current, v.sealed,
         v.key_version AS "keyVersion", k.sealed AS "sealedKey"
  FROM secrets s JOIN secret_versions v ON v.secret_id = s.id
    JOIN project_keys k ON k.project_id = v.project_id AND k.version = v.key_version
  WHERE s.project_id = $1`;

/** Every version that is kept of the secrets of these names; of all secrets of the project without names. */
export async function sealedValues(
  db: Queryable,
  project: string,
  names: readonly string[] | null,
): Promise<SealedValue[]> {
  const { rows } = await db.query<SealedValue>(
    `${SEALED_VALUE} AND ($2::text[] IS NULL OR s.name = ANY ($2)) ORDER BY s.name, v.version`,
    [project, names],
  );
  return rows;
}

export async function resealVersion(
  client: Queryable,
  { secret, version }: Pick<SealedValue, "secret" | "version">,
  { keyVersion, sealed }: Pick<SealedValue, "keyVersion" | "sealed">,
): Promise<void> {
  await client.query("UPDATE secret_versions SET key_version = $3, sealed = $4 WHERE secret_id = $1 AND version = $2", [
    secret,
    version,
    keyVersion,
    sealed,
  ]);
}

export interface NewAccess {
  readonly project: string;
  readonly run: string;
  readonly epoch: number;
  readonly stepRun: string;
  readonly attempt: number;
  readonly worker: string;
}

/** Of one secret: what its page shows, and some. The audit log has all of them. */
export const ACCESSES_KEPT = 200;

/** Writes down who got what, and forgets the oldest of what is known of the same secrets. */
export async function insertAccesses(
  client: Queryable,
  { project, run, epoch, stepRun, attempt, worker }: NewAccess,
  values: readonly Pick<SealedValue, "secret" | "name" | "version">[],
): Promise<void> {
  await client.query(
    `INSERT INTO secret_accesses (project_id, secret_id, name, version, run_id, step_run, attempt, epoch, worker_id)
     SELECT $1, v.secret, v.name, v.version, $2, $3, $4, $5, $6
     FROM unnest($7::text[], $8::text[], $9::integer[]) AS v (secret, name, version)`,
    [
      ...[project, run, stepRun, attempt, epoch, worker],
      values.map(({ secret }) => secret),
      values.map(({ name }) => name),
      values.map(({ version }) => version),
    ],
  );
  // Several attempts may do this at once: what another one is about to remove is left to it.
  await client.query(
    `DELETE FROM secret_accesses WHERE id IN (
       SELECT id FROM secret_accesses WHERE id IN (
         SELECT old.id FROM unnest($1::text[]) AS s (secret) CROSS JOIN LATERAL
           (SELECT id FROM secret_accesses WHERE secret_id = s.secret ORDER BY id DESC OFFSET ${ACCESSES_KEPT}) old)
       ORDER BY id FOR UPDATE SKIP LOCKED)`,
    [values.map(({ secret }) => secret)],
  );
}

/** Names of secrets by step: its own, and those of the build of its environment. */
export interface SecretsOfRun {
  readonly pipeline: string;
  readonly steps: Readonly<Record<string, readonly string[]>>;
  readonly builds: Readonly<Record<string, readonly string[]>>;
}

/** What a run may have, by its plan: the pipeline that it is of, and the names of secrets by step. */
export async function secretsOfRun(db: Queryable, project: string, run: string): Promise<SecretsOfRun | null> {
  const { rows } = await db.query<SecretsOfRun>(
    `SELECT p.name AS pipeline,
            (SELECT json_object_agg(step ->> 'name', ARRAY(
               SELECT wanted ->> 'name' FROM json_array_elements(COALESCE(step -> 'secrets', '[]')) wanted))
             FROM json_array_elements(v.plan -> 'steps') step) AS steps,
            (SELECT json_object_agg(step ->> 'name', ARRAY(
               SELECT wanted ->> 'name' FROM json_array_elements(COALESCE(made -> 'secrets', '[]')) wanted
               UNION ALL
               SELECT wanted ->> 'secret' FROM json_each(COALESCE(made -> 'credentials', '{}')) AS each (host, wanted)))
             FROM json_array_elements(v.plan -> 'steps') step,
               LATERAL (SELECT v.plan -> 'environments' -> (step ->> 'environment') AS made) environment) AS builds
     FROM runs r JOIN pipelines p ON p.id = r.pipeline_id
       JOIN pipeline_versions v ON v.pipeline_id = r.pipeline_id AND v.version = r.pipeline_version
     WHERE r.project_id = $1 AND r.id = $2`,
    [project, run],
  );
  return rows[0] ?? null;
}

/** For whom these secrets are, by name; those that are not there are left out. */
export async function listSecretNames(
  db: Queryable,
  project: string,
  names: readonly string[],
): Promise<Map<string, { readonly pipelines: readonly string[] | null }>> {
  const { rows } = await db.query<{ name: string; pipelines: string[] | null }>(
    "SELECT name, pipelines FROM secrets WHERE project_id = $1 AND name = ANY ($2)",
    [project, names],
  );
  return new Map(rows.map(({ name, pipelines }) => [name, { pipelines }]));
}
