import type { ByteRange } from "../objects/object-store.ts";
import type { Queryable } from "./database.ts";

export interface BlobRow {
  readonly size: number;
  readonly tier: "database" | "object";
}

/** Null also for one whose bytes were found to be damaged. */
export async function findBlob(db: Queryable, project: string, digest: string): Promise<BlobRow | null> {
  const { rows } = await db.query<BlobRow>({
    name: "find-blob",
    text: "SELECT size, tier FROM blobs WHERE project_id = $1 AND digest = $2 AND damaged_at IS NULL",
    values: [project, digest],
  });
  return rows[0] ?? null;
}

export async function missingBlobs(db: Queryable, project: string, digests: readonly string[]): Promise<string[]> {
  const { rows } = await db.query<{ digest: string }>(
    `SELECT DISTINCT wanted.digest FROM unnest($2::text[]) AS wanted (digest)
      WHERE NOT EXISTS (SELECT FROM blobs b WHERE b.project_id = $1 AND b.digest = wanted.digest AND b.damaged_at IS NULL)`,
    [project, digests],
  );
  return rows.map((row) => row.digest);
}

/**
 * One statement, so that a row without its bytes is never visible; an equal blob stored meanwhile is fine, and a damaged
 * one is mended.
 */
export async function insertDatabaseBlob(
  db: Queryable,
  project: string,
  digest: string,
  bytes: Uint8Array,
): Promise<void> {
  await db.query(
    `WITH stored AS (
       INSERT INTO blobs (project_id, digest, size, tier) VALUES ($1, $2, $3, 'database')
       ON CONFLICT DO NOTHING RETURNING project_id, digest),
     mended AS (
       UPDATE blobs SET tier = 'database', damaged_at = NULL
       WHERE project_id = $1 AND digest = $2 AND damaged_at IS NOT NULL RETURNING project_id, digest)
     INSERT INTO blob_bytes (project_id, digest, data)
     SELECT project_id, digest, $4 FROM (TABLE stored UNION TABLE mended) AS due
     ON CONFLICT (project_id, digest) DO UPDATE SET data = EXCLUDED.data`,
    [project, digest, bytes.length, bytes],
  );
}

/** For a blob whose bytes are durable in the object store by now. */
export async function insertObjectBlob(db: Queryable, project: string, digest: string, size: number): Promise<void> {
  await db.query(
    `WITH mended AS (
       UPDATE blobs SET tier = 'object', damaged_at = NULL
       WHERE project_id = $1 AND digest = $2 AND damaged_at IS NOT NULL)
     INSERT INTO blobs (project_id, digest, size, tier) VALUES ($1, $2, $3, 'object') ON CONFLICT DO NOTHING`,
    [project, digest, size],
  );
}

export async function readDatabaseBlob(
  db: Queryable,
  project: string,
  digest: string,
  range: ByteRange | undefined,
): Promise<Buffer | null> {
  const { rows } = await db.query<{ data: Buffer }>(
    `SELECT CASE WHEN $3::int IS NULL THEN data ELSE substring(data FROM $3::int + 1 FOR $4::int) END AS data
       FROM blob_bytes WHERE project_id = $1 AND digest = $2`,
    [project, digest, range?.start ?? null, range === undefined ? null : range.end - range.start + 1],
  );
  return rows[0]?.data ?? null;
}
