import type { ProjectVariable, VariableValues } from "../../protocol/variables.ts";
import type { Queryable } from "./database.ts";

const COLUMNS = `name, value, updated_by AS "updatedBy",
  to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "updatedAt"`;

export async function listVariables(db: Queryable, project: string): Promise<ProjectVariable[]> {
  const { rows } = await db.query<ProjectVariable>(
    `SELECT ${COLUMNS} FROM project_variables WHERE project_id = $1 ORDER BY name COLLATE "C"`,
    [project],
  );
  return rows;
}

export async function findVariable(db: Queryable, project: string, name: string): Promise<ProjectVariable | null> {
  const { rows } = await db.query<ProjectVariable>(
    `SELECT ${COLUMNS} FROM project_variables WHERE project_id = $1 AND name = $2`,
    [project, name],
  );
  return rows[0] ?? null;
}

/** What a run that is created now is given. */
export async function variablesOf(db: Queryable, project: string): Promise<VariableValues> {
  const { rows } = await db.query<{ variables: VariableValues }>(
    `SELECT coalesce(jsonb_object_agg(name, value), '{}') AS variables FROM project_variables WHERE project_id = $1`,
    [project],
  );
  return rows[0]!.variables;
}

/** Held until the end of the transaction: who changes the variables of a project comes one after the other. */
export async function lockVariables(client: Queryable, project: string): Promise<void> {
  await client.query("SELECT pg_advisory_xact_lock(hashtextextended('variables:' || $1, 0))", [project]);
}

export async function setVariable(
  client: Queryable,
  { project, name, value, by }: { project: string; name: string; value: string; by: string },
): Promise<void> {
  await client.query(
    `INSERT INTO project_variables (project_id, name, value, updated_by) VALUES ($1, $2, $3, $4)
     ON CONFLICT (project_id, name)
     DO UPDATE SET value = excluded.value, updated_by = excluded.updated_by, updated_at = now()`,
    [project, name, value, by],
  );
}

/** False when there was none. */
export async function deleteVariable(client: Queryable, project: string, name: string): Promise<boolean> {
  const { rowCount } = await client.query("DELETE FROM project_variables WHERE project_id = $1 AND name = $2", [
    project,
    name,
  ]);
  return rowCount === 1;
}

export async function sizeOfVariables(db: Queryable, project: string): Promise<{ count: number; bytes: number }> {
  const { rows } = await db.query<{ count: number; bytes: number }>(
    `SELECT count(*)::integer AS count, coalesce(sum(octet_length(name) + octet_length(value)), 0)::integer AS bytes
     FROM project_variables WHERE project_id = $1`,
    [project],
  );
  return rows[0]!;
}
