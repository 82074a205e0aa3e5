import type { Registry } from "../../protocol/registries.ts";
import type { Queryable } from "./database.ts";

/** Passwords of registries are secrets of this name, which no step and no request for secrets can name. */
export function registrySecret(host: string): string {
  return `registry:${host}`;
}

export async function setRegistryUser(
  client: Queryable,
  project: string,
  host: string,
  username: string,
): Promise<void> {
  await client.query("UPDATE secrets SET registry_user = $3 WHERE project_id = $1 AND name = $2", [
    project,
    registrySecret(host),
    username,
  ]);
}

/** By host. */
export async function listRegistries(db: Queryable, project: string): Promise<Registry[]> {
  const { rows } = await db.query<Omit<Registry, "setAt" | "lastUsedAt"> & { setAt: Date; lastUsedAt: Date | null }>(
    `SELECT substr(s.name, length('registry:') + 1) AS host, s.registry_user AS username, s.pipelines,
            v.created_by AS "createdBy", v.created_at AS "setAt",
            (SELECT max(a.at) FROM secret_accesses a WHERE a.secret_id = s.id) AS "lastUsedAt"
     FROM secrets s JOIN secret_versions v ON v.secret_id = s.id AND v.version = s.current_version
     WHERE s.project_id = $1 AND s.registry_user IS NOT NULL ORDER BY s.name`,
    [project],
  );
  return rows.map((row) => ({
    ...row,
    setAt: row.setAt.toISOString(),
    lastUsedAt: row.lastUsedAt?.toISOString() ?? null,
  }));
}

/** What an environment of a run's plan is made from, and the pipeline that the run is of; null where there is none. */
export async function environmentOfRun(
  db: Queryable,
  { project, run, environment }: { readonly project: string; readonly run: string; readonly environment: string },
): Promise<{ readonly pipeline: string; readonly image: string | null } | null> {
  const { rows } = await db.query<{ pipeline: string; image: string | null }>(
    `SELECT p.name AS pipeline, COALESCE(e.made ->> 'image', e.made ->> 'base') AS image
     FROM runs r JOIN pipelines p ON p.id = r.pipeline_id
       JOIN pipeline_versions v ON v.pipeline_id = r.pipeline_id AND v.version = r.pipeline_version,
       LATERAL (SELECT v.plan -> 'environments' -> $3 AS made) e
     WHERE r.project_id = $1 AND r.id = $2 AND e.made IS NOT NULL`,
    [project, run, environment],
  );
  return rows[0] ?? null;
}
