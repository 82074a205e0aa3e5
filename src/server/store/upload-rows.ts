import type { Queryable } from "./database.ts";

/** Who sends, and into which project. */
export interface Sender {
  readonly project: string;
  /** The id of a worker or of an API token. */
  readonly owner: string;
  /** What a token began, any token of the project may go on with; of workers, only the same. */
  readonly kind: "worker" | "token";
}

export interface UploadRow {
  readonly id: string;
  readonly project: string;
  readonly digest: string;
  readonly size: number;
  readonly way: "server" | "direct";
  readonly tier: "object" | "large";
  readonly objectKey: string;
  readonly reference: string | null;
  readonly partBytes: number;
  readonly appends: number;
}

const COLUMNS = `id, project_id AS project, digest, size, way, tier, object_key AS "objectKey", reference,
  part_bytes AS "partBytes", appends`;

/** The sender's unfinished upload of a blob; also counts as a movement of it. */
export async function findUploadOf(db: Queryable, sender: Sender, digest: string): Promise<UploadRow | null> {
  const { rows } = await db.query<UploadRow>(
    `UPDATE uploads SET moved_at = now() WHERE project_id = $1 AND owner = $2 AND digest = $3 RETURNING ${COLUMNS}`,
    [sender.project, sender.owner, digest],
  );
  return rows[0] ?? null;
}

export async function findUpload(db: Queryable, sender: Sender, id: string): Promise<UploadRow | null> {
  const { rows } = await db.query<UploadRow>(
    `UPDATE uploads SET moved_at = now() WHERE id = $3 AND project_id = $1
       AND (owner = $2 OR ($4 = 'token' AND starts_with(owner, 'tok_'))) RETURNING ${COLUMNS}`,
    [sender.project, sender.owner, id, sender.kind],
  );
  return rows[0] ?? null;
}

/** False where the sender has an unfinished upload of the blob already. */
export async function insertUpload(
  db: Queryable,
  sender: Sender,
  upload: Omit<UploadRow, "project" | "appends">,
): Promise<boolean> {
  const { id, digest, size, way, tier, objectKey, reference, partBytes } = upload;
  const { rowCount } = await db.query(
    `INSERT INTO uploads (id, project_id, owner, digest, size, way, tier, object_key, reference, part_bytes)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING`,
    [id, sender.project, sender.owner, digest, size, way, tier, objectKey, reference, partBytes],
  );
  return rowCount === 1;
}

/** The number of the append that begins; null when there is no such upload. */
export async function countAppend(db: Queryable, id: string): Promise<number | null> {
  const { rows } = await db.query<{ appends: number }>(
    "UPDATE uploads SET appends = appends + 1, moved_at = now() WHERE id = $1 RETURNING appends",
    [id],
  );
  return rows[0]?.appends ?? null;
}

/** Whether this is still the last append that began; also counts as a movement. */
export async function isLastAppend(db: Queryable, id: string, append: number): Promise<boolean> {
  const { rowCount } = await db.query("UPDATE uploads SET moved_at = now() WHERE id = $1 AND appends = $2", [
    id,
    append,
  ]);
  return rowCount === 1;
}

/** False when there is none any more. */
export async function deleteUpload(db: Queryable, id: string): Promise<boolean> {
  const { rowCount } = await db.query("DELETE FROM uploads WHERE id = $1", [id]);
  return rowCount === 1;
}

/** Takes some that have not moved for this long off the table, for the caller to remove from their stores. */
export async function takeAbandoned(db: Queryable, olderThanMs: number, limit: number): Promise<UploadRow[]> {
  const { rows } = await db.query<UploadRow>(
    `DELETE FROM uploads WHERE id IN (
       SELECT id FROM uploads WHERE moved_at < now() - make_interval(secs => $1 / 1000.0)
       ORDER BY moved_at LIMIT $2 FOR UPDATE SKIP LOCKED)
     RETURNING ${COLUMNS}`,
    [olderThanMs, limit],
  );
  return rows;
}
