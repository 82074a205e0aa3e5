import { createHash } from "node:crypto";
import { BATCHED_BLOB_MAX_BYTES, type BlobWithBytes } from "../../protocol/blob-batch.ts";
import { BerthError } from "../../protocol/errors.ts";
import type { Queryable } from "./database.ts";

/** Refuses a batch of which a blob has other bytes than its own. */
export function requireOwnBytes(blobs: readonly BlobWithBytes[]): void {
  for (const { digest, bytes } of blobs) {
    if (isOf(digest, bytes)) continue;
    throw new BerthError(
      "digest_mismatch",
      `The bytes of blob ${digest} are others; nothing of the batch was stored.`,
      {
        advice: "Send the same files again; if this repeats, one changed since it was hashed.",
        details: { digest },
      },
    );
  }
}

/**
 * Small blobs that lie in the database, in the order asked for, as many as have at most `bytesMax` together. Left out are
 * those that are not there, larger or damaged: whoever reads them one by one is told which it is.
 */
export async function readSmallBlobs(
  db: Queryable,
  project: string,
  digests: readonly string[],
  bytesMax: number,
): Promise<BlobWithBytes[]> {
  const { rows } = await db.query<{ digest: string; data: Buffer | null }>({
    name: "read-small-blobs",
    text: `WITH found AS (
         SELECT b.digest, w.place, sum(b.size) OVER (ORDER BY w.place) AS total
         FROM unnest($2::text[]) WITH ORDINALITY AS w (digest, place)
         JOIN blobs b ON b.project_id = $1 AND b.digest = w.digest
         WHERE b.damaged_at IS NULL AND b.tier = 'database' AND b.size <= $3)
     SELECT f.digest, y.data FROM found f LEFT JOIN blob_bytes y ON y.project_id = $1 AND y.digest = f.digest
     WHERE f.total <= $4 ORDER BY f.place`,
    values: [project, digests, BATCHED_BLOB_MAX_BYTES, bytesMax],
  });
  return rows.flatMap(({ digest, data }) => {
    const bytes = data ?? Buffer.alloc(0);
    return isOf(digest, bytes) ? [{ digest, bytes }] : [];
  });
}

function isOf(digest: string, bytes: Uint8Array): boolean {
  return createHash("sha256").update(bytes).digest("hex") === digest;
}
