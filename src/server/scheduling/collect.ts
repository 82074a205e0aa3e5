import { setTimeout as sleep } from "node:timers/promises";
import { ruleText } from "../../protocol/retention.ts";
import type { Services } from "../services.ts";
import { objectOf } from "../store/blob-rows.ts";
import { dropOldGrants } from "../store/cache.ts";
import { type DueCursor, judgeVersions, lockDueVersions, postpone, takeContents } from "../store/expiry.ts";
import { workRuleChangeIn } from "../store/retention-rules.ts";
import { type DeletedBlob, deleteUnused, lockUnsureBlobs, settleUsed, timeBefore } from "../store/unused-blobs.ts";

/** A blob that was stored, or asked for, stays this long although nothing refers to it: it is about to be. */
export const BLOB_GRACE_MS = 24 * 60 * 60_000;
/** Of one transaction: others that write to the same rows wait for no more than this. */
const VERSIONS_PER_BATCH = 200;
const FILES_PER_BATCH = 5_000;
const BLOBS_PER_BATCH = 500;
const REVALUED_PER_BATCH = 1_000;

export interface CollectOptions {
  /** Null: of all projects. */
  readonly project: string | null;
  readonly graceMs: number;
  /**
   * Between two batches, as a multiple of what the batch took: 1 leaves the database alone for half of the time. What
   * runs by itself is in no hurry.
   */
  readonly rest: number;
  /** Ends the pass between two batches, also when its time is up. */
  readonly signal: AbortSignal;
}

/** What a pass did. */
export interface Collected {
  readonly expired: number;
  /** That the versions referred to; where others refer to the same bytes, nothing was freed. */
  readonly expiredBytes: number;
  readonly blobs: number;
  readonly blobBytes: number;
  /** Whether it came to the end. */
  readonly done: boolean;
}

type Parts = Pick<Services, "database" | "objects" | "log">;

/**
 * Lets versions go whose time has come, and then removes the blobs that nothing refers to. In small transactions, each
 * whole in itself, while everything else goes on: it may be ended anywhere, and several may be at it at once.
 */
export async function collect(services: Parts, options: CollectOptions): Promise<Collected> {
  const work = { expired: 0, expiredBytes: 0, blobs: 0, blobBytes: 0 };
  const { signal } = options;
  await workChangesIn(services, options);
  let after: DueCursor | null = null;
  while (!signal.aborted) {
    const startedAt = performance.now();
    const batch = await expireBatch(services, options.project, after);
    if (batch === null) break;
    after = batch.last;
    work.expired += batch.expired;
    work.expiredBytes += batch.bytes;
    await rest(startedAt, options);
  }
  await dropOldGrants(services.database.pool);
  // Fixed, so that no blob is looked at twice.
  const before = await timeBefore(services.database.pool, options.graceMs);
  while (!signal.aborted) {
    const startedAt = performance.now();
    const deleted = await deleteBatch(services, options.project, before);
    if (deleted === null) break;
    work.blobs += deleted.length;
    work.blobBytes += deleted.reduce((sum, { size }) => sum + size, 0);
    await rest(startedAt, options);
  }
  return { ...work, done: !signal.aborted };
}

async function workChangesIn({ database }: Parts, options: CollectOptions): Promise<void> {
  while (!options.signal.aborted) {
    const startedAt = performance.now();
    const looked = await database.transaction((client) =>
      workRuleChangeIn(client, options.project, REVALUED_PER_BATCH),
    );
    if (looked === null) return;
    await rest(startedAt, options);
  }
}

/** Null when nothing is due after the cursor. */
async function expireBatch(
  { database }: Parts,
  project: string | null,
  after: DueCursor | null,
): Promise<{ readonly last: DueCursor; readonly expired: number; readonly bytes: number } | null> {
  return database.transaction(async (client) => {
    const locked = await lockDueVersions(client, { project, after, limit: VERSIONS_PER_BATCH });
    if (locked.length === 0) return null;
    const due = firstFiles(locked, FILES_PER_BATCH);
    const verdicts = await judgeVersions(
      client,
      due.map(({ id }) => id),
    );
    const gone = verdicts.filter(({ verdict }) => verdict === "expired");
    await postpone(
      client,
      verdicts.filter(({ verdict }) => verdict === "late").map(({ id }) => id),
    );
    const bytes = await takeContents(
      client,
      gone.map((version) => ({ id: version.id, by: ruleText(version) })),
    );
    return { last: due.at(-1)!.cursor, expired: gone.length, bytes };
  });
}

/** The first of these, as many as have that many files together; a folder that has more alone. */
function firstFiles<T extends { readonly files: number }>(all: readonly T[], filesMax: number): T[] {
  let files = 0;
  const end = all.findIndex((version) => {
    files += version.files;
    return files > filesMax;
  });
  return all.slice(0, end < 0 ? all.length : Math.max(1, end));
}

/** Null when no blob is left to look at. */
async function deleteBatch(
  services: Parts,
  project: string | null,
  before: string,
): Promise<readonly DeletedBlob[] | null> {
  const deleted = await services.database.transaction(async (client) => {
    const locked = await lockUnsureBlobs(client, { project, before, limit: BLOBS_PER_BATCH });
    if (locked.length === 0) return null;
    const unused = await deleteUnused(client, locked);
    await settleUsed(client, locked);
    return unused;
  });
  // Only now: had the transaction not come through, the row would name an object that is gone.
  for (const blob of deleted ?? []) await removeObject(services, blob);
  return deleted;
}

/**
 * What stays because the store does not answer, or is not configured, no row names any more: it is found by sweepObjects
 * once it does.
 */
async function removeObject({ objects, log }: Parts, blob: DeletedBlob): Promise<void> {
  try {
    const object = objectOf(objects, blob.project, blob.digest, blob);
    await object?.store.delete(object.key);
  } catch (error) {
    const { project, digest, objectKey: key } = blob;
    log.warn(
      { err: error, project, digest, key },
      "an object that nothing refers to could not be removed; it is tried again once its store answers",
    );
  }
}

async function rest(startedAt: number, { rest: factor, signal }: CollectOptions): Promise<void> {
  const ms = factor * (performance.now() - startedAt);
  if (ms > 0) await sleep(ms, undefined, { signal }).catch(() => {});
}
