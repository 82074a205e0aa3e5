import type { Queryable } from "./database.ts";

export interface ProjectRow {
  readonly id: string;
  readonly name: string;
}

/** The id of a project by its name; null for none. */
export async function projectNamed(db: Queryable, name: string): Promise<string | null> {
  const { rows } = await db.query<{ id: string }>("SELECT id FROM projects WHERE name = $1", [name]);
  return rows[0]?.id ?? null;
}

export async function findProject(db: Queryable, id: string): Promise<ProjectRow | null> {
  const { rows } = await db.query<ProjectRow>("SELECT id, name FROM projects WHERE id = $1", [id]);
  return rows[0] ?? null;
}
