import { sharedKey } from "../objects/object-key.ts";
import type { ByteRange, ObjectStore } from "../objects/object-store.ts";
import { type BlobTier, findStoreOf, type ObjectTiers, storeOf } from "../objects/object-tiers.ts";
import type { Queryable } from "./database.ts";

export interface BlobRow {
  readonly size: number;
  readonly tier: BlobTier;
  /** Of its object; null in the tier `database`, and for objects of before uploads had keys of their own. */
  readonly objectKey: string | null;
}

/** Where the bytes of a blob lie; null for a row of the database. Throws when that store is not configured. */
export function objectOf(
  tiers: ObjectTiers,
  project: string,
  digest: string,
  { tier, objectKey }: Pick<BlobRow, "tier" | "objectKey">,
): { readonly store: ObjectStore; readonly key: string } | null {
  if (tier === "database") return null;
  const key = objectKey ?? sharedKey(project, digest);
  return { store: storeOf(tiers, tier, key), key };
}

/** False where the bytes lie in a store that is not configured, so that nothing can be said of them. */
export function isInOpenStore(tiers: ObjectTiers, { tier, objectKey }: Pick<BlobRow, "tier" | "objectKey">): boolean {
  return tier === "database" || findStoreOf(tiers, tier, objectKey ?? "") !== null;
}

/** Null also for one whose bytes were found to be damaged. */
export async function findBlob(db: Queryable, project: string, digest: string): Promise<BlobRow | null> {
  const { rows } = await db.query<BlobRow>({
    name: "find-blob",
    text: `SELECT size, tier, object_key AS "objectKey" FROM blobs
      WHERE project_id = $1 AND digest = $2 AND damaged_at IS NULL`,
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
       UPDATE blobs SET tier = 'database', object_key = NULL, damaged_at = NULL
       WHERE project_id = $1 AND digest = $2 AND damaged_at IS NOT NULL RETURNING project_id, digest)
     INSERT INTO blob_bytes (project_id, digest, data)
     SELECT project_id, digest, $4 FROM (TABLE stored UNION TABLE mended) AS due
     ON CONFLICT (project_id, digest) DO UPDATE SET data = EXCLUDED.data`,
    [project, digest, bytes.length, bytes],
  );
}

/**
 * For a blob whose bytes are durable in the object store by now. Returns whether the row names this object: it does not
 * where an equal blob was stored meanwhile.
 */
export async function insertObjectBlob(
  db: Queryable,
  project: string,
  digest: string,
  blob: { readonly size: number; readonly tier: BlobTier; readonly objectKey: string },
): Promise<boolean> {
  const { rowCount } = await db.query(
    `INSERT INTO blobs (project_id, digest, size, tier, object_key) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (project_id, digest) DO UPDATE
       SET size = EXCLUDED.size, tier = EXCLUDED.tier, object_key = EXCLUDED.object_key, damaged_at = NULL
       WHERE blobs.damaged_at IS NOT NULL`,
    [project, digest, blob.size, blob.tier, blob.objectKey],
  );
  return rowCount === 1;
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
