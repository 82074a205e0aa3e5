import type { ObjectStat, ObjectStore } from "../objects/object-store.ts";
import type { ObjectTiers } from "../objects/object-tiers.ts";
import type { Services } from "../services.ts";
import { namelessObjects } from "../store/unused-blobs.ts";

/**
 * An object is written before its row, and the longest upload may take hours: what no row names after this long belongs to
 * nobody.
 */
export const NAMELESS_AFTER_MS = 24 * 60 * 60_000;
const OBJECTS_PER_BATCH = 1_000;

export interface Swept {
  readonly objects: number;
  readonly bytes: number;
}

/**
 * Removes objects of blobs that no row names: of uploads whose process died before they were named, or whose row was
 * deleted while the store was away. Only keys that are made like those of blobs are looked at.
 */
export async function sweepObjects(
  { database, objects }: Pick<Services, "database" | "objects">,
  {
    project,
    olderThanMs,
    dryRun,
    signal,
  }: {
    readonly project: string | null;
    readonly olderThanMs: number;
    readonly dryRun: boolean;
    readonly signal: AbortSignal;
  },
): Promise<Swept> {
  let swept = { objects: 0, bytes: 0 };
  const sweep = async (store: ObjectStore, batch: readonly NamedObject[]) => {
    const sizes = new Map(batch.map(({ key, size }) => [key, size]));
    for (const key of await namelessObjects(database.pool, batch)) {
      if (!dryRun) await store.delete(key);
      swept = { objects: swept.objects + 1, bytes: swept.bytes + sizes.get(key)! };
    }
  };
  for (const store of distinctStores(objects)) {
    let batch: NamedObject[] = [];
    for await (const stat of store.list(project === null ? "blobs/" : `blobs/${project}/`)) {
      if (signal.aborted) return swept;
      const named = readKey(stat);
      if (named === null || Date.now() - stat.modifiedAt.getTime() < olderThanMs) continue;
      batch.push(named);
      if (batch.length < OBJECTS_PER_BATCH) continue;
      await sweep(store, batch);
      batch = [];
    }
    await sweep(store, batch);
  }
  return swept;
}

function distinctStores({ object, large }: ObjectTiers): Set<ObjectStore> {
  return new Set([object, large]);
}

interface NamedObject {
  readonly key: string;
  readonly size: number;
  readonly project: string;
  readonly digest: string;
}

/** See object-key.ts. */
function readKey({ key, size }: ObjectStat): NamedObject | null {
  const match = /^blobs\/([^/]+)\/[0-9a-f]{2}\/([0-9a-f]{64})(?:\.[^/]+)?$/.exec(key);
  return match === null ? null : { key, size, project: match[1]!, digest: match[2]! };
}
