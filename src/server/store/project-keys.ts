import { randomBytes } from "node:crypto";
import type { KeyRing } from "../keys/key-ring.ts";
import { createSealer, KEY_BYTES, keyNameOf, type Sealer } from "../sealer.ts";
import type { Queryable } from "./database.ts";

/** A key of one project. The installation's keys seal these, and these seal values: replacing one of those is a row's work. */
export interface ProjectKey {
  readonly version: number;
  readonly sealer: Sealer;
}

function placeOf(project: string, version: number): string {
  return `projects/${project}/key/${version}`;
}

/** Whoever seals values of a project, or makes its keys, does so one after another. */
export async function lockSecrets(client: Queryable, project: string): Promise<void> {
  await client.query("SELECT pg_advisory_xact_lock(hashtextextended('secrets ' || $1, 0))", [project]);
}

/** The newest key of the project, made where there is none that opens. Within lockSecrets. */
export async function currentKey(client: Queryable, ring: KeyRing, project: string): Promise<ProjectKey> {
  const { rows } = await client.query<{ version: number; sealed: Buffer; key: string }>(
    `SELECT version, sealed, ${keyNameOf("sealed")} AS key FROM project_keys WHERE project_id = $1
     ORDER BY version DESC LIMIT 1`,
    [project],
  );
  const newest = rows[0];
  if (newest !== undefined && ring.has(newest.key)) return opened(ring, project, newest);
  return makeKey(client, ring, project);
}

/** One more key of the project, which is its newest from then on. Within lockSecrets. */
export async function makeKey(client: Queryable, ring: KeyRing, project: string): Promise<ProjectKey> {
  const key = randomBytes(KEY_BYTES);
  const { rows } = await client.query<{ version: number }>(
    "SELECT COALESCE(max(version), 0) + 1 AS version FROM project_keys WHERE project_id = $1",
    [project],
  );
  const { version } = rows[0]!;
  await client.query("INSERT INTO project_keys (project_id, version, sealed) VALUES ($1, $2, $3)", [
    project,
    version,
    await ring.seal(placeOf(project, version), key),
  ]);
  return { version, sealer: createSealer(key) };
}

/** The key of a row of project_keys. */
export async function opened(
  ring: KeyRing,
  project: string,
  { version, sealed }: { readonly version: number; readonly sealed: Buffer },
): Promise<ProjectKey> {
  return { version, sealer: createSealer(await ring.open(placeOf(project, version), sealed)) };
}

/** Removes the keys of a project under which nothing is sealed any more. Within lockSecrets. */
export async function removeUnusedKeys(client: Queryable, project: string): Promise<void> {
  await client.query(
    `DELETE FROM project_keys k WHERE k.project_id = $1
       AND k.version < (SELECT max(version) FROM project_keys WHERE project_id = $1)
       AND NOT EXISTS (SELECT FROM secret_versions v WHERE v.project_id = k.project_id AND v.key_version = k.version)`,
    [project],
  );
}

const SEALED = `
  SELECT project_id, ${keyNameOf("sealed")} AS key FROM project_keys
  UNION SELECT project_id, ${keyNameOf("secret")} FROM triggers
  UNION SELECT project_id, ${keyNameOf("old_secret")} FROM triggers WHERE old_secret_until > now()`;

/** Names of the installation's keys that something in the database is sealed under. */
export async function keysInUse(db: Queryable): Promise<string[]> {
  const { rows } = await db.query<{ key: string }>(`SELECT DISTINCT key FROM (${SEALED}) s ORDER BY key`);
  return rows.map(({ key }) => key);
}

/** How many projects have something under another key than this. */
export async function projectsUnderOtherKeys(db: Queryable, key: string): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    `SELECT count(DISTINCT project_id)::integer AS count FROM (${SEALED}) s WHERE key <> $1`,
    [key],
  );
  return rows[0]!.count;
}
