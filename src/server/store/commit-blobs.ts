import { bytesParameter } from "./bytes-parameter.ts";
import type { Queryable } from "./database.ts";

/**
 * Blobs that travelled inside the events that commit them; damaged ones are mended by them. Sorted, so that two commits
 * never wait for each other.
 */
export async function insertInlineBlobs(
  client: Queryable,
  project: string,
  blobs: ReadonlyMap<string, Uint8Array>,
): Promise<void> {
  if (blobs.size === 0) return;
  const digests = [...blobs.keys()].sort();
  const data = bytesParameter(digests.map((digest) => blobs.get(digest)!));
  await client.query({
    name: "insert-inline-blobs",
    text: `WITH given AS (
         SELECT digest, substring($3::bytea FROM start FOR length) AS data
         FROM unnest($2::text[], $4::integer[], $5::integer[]) AS g (digest, start, length)),
       stored AS (
         INSERT INTO blobs (project_id, digest, size, tier)
         SELECT $1, digest, length(data), 'database' FROM given ORDER BY digest
         ON CONFLICT DO NOTHING RETURNING digest),
       mended AS (
         UPDATE blobs b SET tier = 'database', object_key = NULL, damaged_at = NULL FROM given g
         WHERE b.project_id = $1 AND b.digest = g.digest AND b.damaged_at IS NOT NULL RETURNING b.digest)
     INSERT INTO blob_bytes (project_id, digest, data)
     SELECT $1, digest, data FROM given JOIN (TABLE stored UNION TABLE mended) AS due USING (digest)
     ON CONFLICT (project_id, digest) DO UPDATE SET data = EXCLUDED.data`,
    values: [project, digests, data.bytes, data.starts, data.lengths],
  });
}

/** Sizes of those of these blobs that the project holds. */
export async function blobSizes(
  client: Queryable,
  project: string,
  digests: readonly string[],
): Promise<Map<string, number>> {
  if (digests.length === 0) return new Map();
  const { rows } = await client.query<{ digest: string; size: number }>({
    name: "blob-sizes",
    text: "SELECT digest, size FROM blobs WHERE project_id = $1 AND digest = ANY ($2) AND damaged_at IS NULL",
    values: [project, digests],
  });
  return new Map(rows.map(({ digest, size }) => [digest, size]));
}

/**
 * The same within a commit: until its end nobody removes them. Locked in one order; what is being removed at the time is
 * waited for, and then not there.
 */
export async function holdBlobs(
  client: Queryable,
  project: string,
  digests: readonly string[],
): Promise<Map<string, number>> {
  if (digests.length === 0) return new Map();
  const { rows } = await client.query<{ digest: string; size: number }>({
    name: "hold-blobs",
    text: `SELECT digest, size FROM blobs WHERE project_id = $1 AND digest = ANY ($2) AND damaged_at IS NULL
      ORDER BY digest FOR KEY SHARE`,
    values: [project, digests],
  });
  return new Map(rows.map(({ digest, size }) => [digest, size]));
}
