import type { Queryable } from "./database.ts";

/** Whether it is so long ago that a replica last looked at every object. */
export async function isSweepDue(db: Queryable, intervalMs: number): Promise<boolean> {
  const { rows } = await db.query<{ due: boolean }>(
    "SELECT swept_at < now() - $1 * interval '1 ms' AS due FROM collector",
    [intervalMs],
  );
  return rows[0]!.due;
}

export async function noteSweep(db: Queryable): Promise<void> {
  await db.query("UPDATE collector SET swept_at = now()");
}
