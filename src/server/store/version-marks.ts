import type { VersionInRun } from "./artifacts.ts";
import type { Queryable } from "./database.ts";
import { postpone } from "./expiry.ts";

/** Which rows a request is about: all items of a version, or one. */
export interface MarkedVersion extends Pick<VersionInRun, "artifact" | "run" | "version"> {
  /** Null: all. */
  readonly item: string | null;
}

/** Ids of the items, those that the run took over from others included. */
export async function itemIds(db: Queryable, { artifact, run, item }: MarkedVersion): Promise<number[]> {
  const { rows } = await db.query<{ id: number }>(
    `SELECT v.id FROM artifact_versions v
     JOIN step_runs s ON s.run_id = $2 AND s.key = v.step_run AND COALESCE(s.taken_from_run, s.run_id) = v.run_id
     WHERE v.artifact_id = $1 AND v.run_id = ANY (ARRAY(SELECT $2::text UNION
         SELECT taken_from_run FROM step_runs WHERE run_id = $2 AND taken_from_run IS NOT NULL))
       AND ($3::text IS NULL OR v.item = $3)
     ORDER BY v.id`,
    [artifact, run, item],
  );
  return rows.map(({ id }) => id);
}

/** Pins what is there of these versions, and returns how many that are. */
export async function pinVersions(
  db: Queryable,
  ids: readonly number[],
  { by, reason }: { readonly by: string; readonly reason: string | null },
): Promise<number> {
  const { rowCount } = await db.query(
    `UPDATE artifact_versions SET pinned_at = now(), pinned_by = $2, pin_reason = $3 WHERE id = ANY ($1) AND expired_at IS NULL`,
    [ids, by, reason],
  );
  return rowCount ?? 0;
}

export async function unpinVersions(db: Queryable, ids: readonly number[]): Promise<number> {
  const { rowCount } = await db.query(
    `UPDATE artifact_versions SET pinned_at = NULL, pinned_by = NULL, pin_reason = NULL
     WHERE id = ANY ($1) AND pinned_at IS NOT NULL`,
    [ids],
  );
  return rowCount ?? 0;
}

/** Gives versions a time of their own, or with null takes it back; returns how many are there. */
export async function setKeptUntil(
  client: Queryable,
  ids: readonly number[],
  { by, until }: { readonly by: string; readonly until: string | null },
): Promise<number> {
  const { rows } = await client.query<{ id: number }>(
    `UPDATE artifact_versions SET kept_until = $2, kept_until_by = CASE WHEN $2::timestamptz IS NULL THEN NULL ELSE $3 END
     WHERE id = ANY ($1) AND expired_at IS NULL RETURNING id`,
    [ids, until, by],
  );
  await postpone(
    client,
    rows.map(({ id }) => id),
  );
  return rows.length;
}

/** A version that is about to be removed, locked against whoever takes it over. */
export interface LockedVersion {
  readonly id: number;
  readonly item: string;
  readonly pinnedBy: string | null;
  readonly pinReason: string | null;
}

/** What the version itself has that is there: what its run took over is that of others. */
export async function lockOwnItems(
  client: Queryable,
  { artifact, version, item }: MarkedVersion,
): Promise<LockedVersion[]> {
  const { rows } = await client.query<LockedVersion>(
    `SELECT id, item, pinned_by AS "pinnedBy", pin_reason AS "pinReason" FROM artifact_versions
     WHERE artifact_id = $1 AND version = $2 AND ($3::text IS NULL OR item = $3) AND expired_at IS NULL
     ORDER BY id FOR UPDATE`,
    [artifact, version, item],
  );
  return rows;
}
