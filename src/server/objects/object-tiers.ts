import type { ObjectStore } from "./object-store.ts";

/** Below this a blob is a row, committed and backed up with everything else; from here on it is an object. */
export const OBJECT_TIER_MIN_BYTES = 10 * 1024 * 1024;
/** From here on a blob lies in the store of large blobs. */
export const LARGE_TIER_MIN_BYTES = 1024 * 1024 * 1024;

/** `database`: a row of blob_bytes. `object` and `large`: an object of the store of that name. */
export type BlobTier = "database" | "object" | "large";

/** Where blobs go, by their size. Where one is, its row says. */
export interface ObjectTiers {
  readonly object: ObjectStore;
  /** May be the same store. */
  readonly large: ObjectStore;
  readonly objectMinBytes: number;
  readonly largeMinBytes: number;
}

/** One store for all objects, with the default sizes. */
export function oneStore(store: ObjectStore): ObjectTiers {
  return {
    object: store,
    large: store,
    objectMinBytes: OBJECT_TIER_MIN_BYTES,
    largeMinBytes: LARGE_TIER_MIN_BYTES,
  };
}

export function tierOf(tiers: ObjectTiers, size: number): BlobTier {
  if (size < tiers.objectMinBytes) return "database";
  return size < tiers.largeMinBytes ? "object" : "large";
}
