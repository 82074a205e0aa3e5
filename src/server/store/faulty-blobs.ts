import { createHash } from "node:crypto";
import type { ObjectStore } from "../objects/object-store.ts";
import type { ObjectTiers } from "../objects/object-tiers.ts";
import { type BlobRow, isInOpenStore, objectOf } from "./blob-rows.ts";
import type { BlobFault } from "./blobs.ts";
import type { Queryable } from "./database.ts";

/** Rows whose bytes the database hashes in one statement. */
const ROWS_AT_ONCE = 100;

interface Stored extends BlobRow {
  readonly digest: string;
  /** As it was found before. */
  readonly isFaulty: boolean;
}

/**
 * See BlobStore: what is found is also noted, so that the same bytes are taken again when somebody has them. What was
 * noted before is looked at again, for a disk may only have been away.
 */
export async function faultyBlobs(
  db: Queryable,
  objects: ObjectTiers,
  project: string,
  { digests, hashedBytesMax }: { readonly digests: readonly string[]; readonly hashedBytesMax: number },
): Promise<Map<string, BlobFault>> {
  const { rows } = await db.query<Stored>(
    `SELECT digest, size, tier, object_key AS "objectKey", damaged_at IS NOT NULL AS "isFaulty" FROM blobs
     WHERE project_id = $1 AND digest = ANY ($2) ORDER BY size, digest`,
    [project, digests],
  );
  const present = new Set(rows.map(({ digest }) => digest));
  const faults = new Map<string, BlobFault>();
  for (const digest of digests) if (!present.has(digest)) faults.set(digest, "missing");
  let leftBytes = hashedBytesMax;
  const hashed: Stored[] = [];
  const counted: Stored[] = [];
  for (const blob of rows) {
    // Only every byte of it mends what was found to be damaged.
    const isHashed = blob.isFaulty || blob.size <= leftBytes;
    (isHashed ? hashed : counted).push(blob);
    if (isHashed) leftBytes -= blob.size;
  }
  const found = new Map([
    ...(await inDatabase(db, project, hashed, true)),
    ...(await inDatabase(db, project, counted, false)),
    ...(await inObjects(objects, project, hashed, true)),
    ...(await inObjects(objects, project, counted, false)),
  ]);
  await noteDamage(
    db,
    project,
    rows.filter(({ digest }) => found.has(digest)),
  );
  const mended = rows.filter(({ digest, isFaulty }) => isFaulty && !found.has(digest));
  await noteMended(
    db,
    project,
    mended.map(({ digest }) => digest),
  );
  return new Map([...faults, ...found]);
}

async function inDatabase(
  db: Queryable,
  project: string,
  blobs: readonly Stored[],
  hash: boolean,
): Promise<Map<string, BlobFault>> {
  const faults = new Map<string, BlobFault>();
  // A blob without bytes has no bytes to lose.
  const wanted = blobs.filter(({ tier, size }) => tier === "database" && size > 0);
  for (let start = 0; start < wanted.length; start += ROWS_AT_ONCE) {
    const part = wanted.slice(start, start + ROWS_AT_ONCE);
    const { rows } = await db.query<{ digest: string; right: boolean }>(
      `SELECT b.digest, length(y.data) = b.size AND (NOT $3 OR encode(sha256(y.data), 'hex') = b.digest) AS right
       FROM blobs b JOIN blob_bytes y USING (project_id, digest) WHERE b.project_id = $1 AND b.digest = ANY ($2)`,
      [project, part.map(({ digest }) => digest), hash],
    );
    const right = new Map(rows.map((row) => [row.digest, row.right]));
    for (const { digest } of part) {
      const is = right.get(digest);
      if (is !== true) faults.set(digest, is === undefined ? "missing" : "damaged");
    }
  }
  return faults;
}

async function inObjects(
  objects: ObjectTiers,
  project: string,
  blobs: readonly Stored[],
  hash: boolean,
): Promise<Map<string, BlobFault>> {
  const faults = new Map<string, BlobFault>();
  for (const blob of blobs) {
    const { digest, size } = blob;
    // As long as its store is not configured, whoever has the bytes stores them again.
    if (!isInOpenStore(objects, blob)) {
      faults.set(digest, "missing");
      continue;
    }
    const object = objectOf(objects, project, digest, blob);
    if (object === null) continue;
    const stat = await object.store.stat(object.key);
    if (stat === null) faults.set(digest, "missing");
    else if (stat.size !== size || (hash && (await digestOf(object.store, object.key)) !== digest)) {
      faults.set(digest, "damaged");
    }
  }
  return faults;
}

async function digestOf(store: ObjectStore, key: string): Promise<string | null> {
  const object = await store.open(key);
  if (object === null) return null;
  const hash = createHash("sha256");
  for await (const chunk of object.stream) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}

/** Only where the row still names what was looked at: it may have been stored again meanwhile. */
async function noteDamage(db: Queryable, project: string, blobs: readonly Stored[]): Promise<void> {
  if (blobs.length === 0) return;
  await db.query(
    `UPDATE blobs b SET damaged_at = now() FROM unnest($2::text[], $3::text[]) AS f (digest, key)
     WHERE b.project_id = $1 AND b.digest = f.digest AND b.object_key IS NOT DISTINCT FROM f.key`,
    [project, blobs.map(({ digest }) => digest), blobs.map(({ objectKey }) => objectKey)],
  );
}

async function noteMended(db: Queryable, project: string, digests: readonly string[]): Promise<void> {
  if (digests.length === 0) return;
  await db.query("UPDATE blobs SET damaged_at = NULL WHERE project_id = $1 AND digest = ANY ($2)", [project, digests]);
}
