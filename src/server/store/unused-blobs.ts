import { DEFAULT_KEEP_MS } from "../../protocol/retention.ts";
import { sharedKey } from "../objects/object-key.ts";
import type { BlobTier } from "../objects/object-tiers.ts";
import type { Queryable } from "./database.ts";

/**
 * How long the source of run `r` is there after its end, in milliseconds: as long as its project keeps what nothing else
 * is said of; NULL is for ever.
 */
const SOURCE_KEEP_MS = `(SELECT said.keep_ms FROM (
    SELECT CASE scope WHEN 'project' THEN 1 ELSE 2 END AS rank, keep_ms FROM retention_rules
    WHERE (project_id = r.project_id AND scope = 'project') OR scope = 'installation'
    UNION ALL SELECT 3, ${DEFAULT_KEEP_MS}) AS said ORDER BY said.rank LIMIT 1)`;

/**
 * Whether a row `b` of blobs is the source of a run that may need it: one that lives, the newest of its pipeline (which
 * newer runs are made like), one that ended a while ago only, or one of which something is there. Or of a schedule or
 * a trigger.
 */
const IS_SOURCE = `(
  EXISTS (SELECT FROM runs r JOIN pipelines p ON p.id = r.pipeline_id
    WHERE r.project_id = b.project_id AND r.source_digest = b.digest
      AND (r.finished_at IS NULL OR r.number = p.last_run_number
        OR COALESCE(r.finished_at > now() - ${SOURCE_KEEP_MS} * interval '1 ms', true)
        OR EXISTS (SELECT FROM artifact_versions v WHERE v.run_id = r.id AND v.expired_at IS NULL)))
  OR EXISTS (SELECT FROM schedules s WHERE s.project_id = b.project_id AND s.source_digest = b.digest)
  OR EXISTS (SELECT FROM triggers t WHERE t.project_id = b.project_id AND t.source_digest = b.digest))`;

/** Whether a version that is there refers to a row `b` of blobs: as its file, its manifest, or a file of its folder. */
const IS_CONTENT = `(
  EXISTS (SELECT FROM artifact_versions v WHERE v.project_id = b.project_id AND v.held_digest = b.digest)
  OR EXISTS (SELECT FROM artifact_blobs f WHERE f.project_id = b.project_id AND f.digest = b.digest))`;

/** A blob, by project and digest. */
export interface BlobName {
  readonly project: string;
  readonly digest: string;
}

/** A time of the database's clock, so long ago. */
export async function timeBefore(db: Queryable, ms: number): Promise<string> {
  const { rows } = await db.query<{ time: string }>("SELECT (now() - $1 * interval '1 ms')::text AS time", [ms]);
  return rows[0]!.time;
}

/** Blobs of which it is not known since `before` that something refers to them, locked; those locked are left out. */
export async function lockUnsureBlobs(
  client: Queryable,
  { project, before, limit }: { readonly project: string | null; readonly before: string; readonly limit: number },
): Promise<BlobName[]> {
  const { rows } = await client.query<BlobName>(
    `SELECT project_id AS project, digest FROM blobs
     WHERE unsure_since <= $2 AND ($1::text IS NULL OR project_id = $1)
     ORDER BY unsure_since LIMIT $3 FOR UPDATE SKIP LOCKED`,
    [project, before, limit],
  );
  return rows;
}

const OF_THESE = "b.project_id = n.project AND b.digest = n.digest";
const THESE = "unnest($1::text[], $2::text[]) AS n (project, digest)";

function names(blobs: readonly BlobName[]): [string[], string[]] {
  return [blobs.map(({ project }) => project), blobs.map(({ digest }) => digest)];
}

/** Where the bytes of a deleted row lie. */
export interface DeletedBlob extends BlobName {
  readonly size: number;
  readonly tier: BlobTier;
  readonly objectKey: string | null;
}

/**
 * Deletes those of these locked blobs that nothing refers to. A statement of its own, after that of the locks: what was
 * committed before it is seen, and nobody can refer to them any more. A row of the database takes its bytes along.
 */
export async function deleteUnused(client: Queryable, blobs: readonly BlobName[]): Promise<DeletedBlob[]> {
  const { rows } = await client.query<DeletedBlob>(
    `DELETE FROM blobs b USING ${THESE} WHERE ${OF_THESE} AND NOT ${IS_CONTENT} AND NOT ${IS_SOURCE}
     RETURNING b.project_id AS project, b.digest, b.size, b.tier, b.object_key AS "objectKey"`,
    names(blobs),
  );
  return rows;
}

/** Notes of those of these locked blobs that are left why: what a version refers to is sure, a source is asked about again. */
export async function settleUsed(client: Queryable, blobs: readonly BlobName[]): Promise<void> {
  await client.query(
    `UPDATE blobs b SET unsure_since = CASE WHEN ${IS_CONTENT} THEN NULL ELSE now() END FROM ${THESE} WHERE ${OF_THESE}`,
    names(blobs),
  );
}

/** What is there of a blob that was asked for, or sent again, stays for the grace. Seldom a write: see the interval. */
export async function touchBlobs(db: Queryable, project: string, digests: readonly string[]): Promise<void> {
  await db.query(
    `WITH due AS (
       SELECT digest FROM blobs WHERE project_id = $1 AND digest = ANY ($2) AND unsure_since < now() - interval '10 minutes'
       ORDER BY digest FOR NO KEY UPDATE)
     UPDATE blobs b SET unsure_since = now() FROM due WHERE b.project_id = $1 AND b.digest = due.digest`,
    [project, digests],
  );
}

/** Blobs that may go by now, and their bytes, and how many rows of what was offered from the cache nobody needs. */
export async function countUnused(
  db: Queryable,
  project: string | null,
  graceMs: number,
): Promise<{ readonly blobs: number; readonly bytes: number }> {
  const { rows } = await db.query<{ blobs: number; bytes: number }>(
    `SELECT count(*)::int AS blobs, COALESCE(sum(size), 0)::float8 AS bytes FROM blobs b
     WHERE unsure_since <= now() - $2 * interval '1 ms' AND ($1::text IS NULL OR project_id = $1)
       AND NOT ${IS_CONTENT} AND NOT ${IS_SOURCE}`,
    [project, graceMs],
  );
  return rows[0]!;
}

/** Of these objects, the keys of those that no blob names, nor an upload that may go on. */
export async function namelessObjects(
  db: Queryable,
  objects: readonly (BlobName & { readonly key: string })[],
): Promise<string[]> {
  const { rows } = await db.query<{ key: string }>(
    `SELECT k.key FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS k (key, project, digest, shared)
     WHERE NOT EXISTS (SELECT FROM blobs b WHERE b.project_id = k.project AND b.digest = k.digest AND b.tier <> 'database'
       AND COALESCE(b.object_key, k.shared) = k.key)
       AND NOT EXISTS (SELECT FROM uploads u WHERE u.object_key = k.key)`,
    [
      objects.map(({ key }) => key),
      ...names(objects),
      objects.map(({ project, digest }) => sharedKey(project, digest)),
    ],
  );
  return rows.map(({ key }) => key);
}
