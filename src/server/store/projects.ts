import type { Queryable } from "./database.ts";

export interface ProjectRow {
  readonly id: string;
  readonly name: string;
}

export async function findProject(db: Queryable, id: string): Promise<ProjectRow | null> {
  const { rows } = await db.query<ProjectRow>("SELECT id, name FROM projects WHERE id = $1", [id]);
  return rows[0] ?? null;
}
