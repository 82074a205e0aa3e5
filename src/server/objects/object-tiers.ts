import { BerthError } from "../../protocol/errors.ts";
import { newObjectKey, storeIdOf } from "./object-key.ts";
import type { ObjectStore } from "./object-store.ts";

/** Below this a blob is a row, committed and backed up with everything else; from here on it is an object. */
export const OBJECT_TIER_MIN_BYTES = 10 * 1024 * 1024;
/** From here on a blob lies in the store of large blobs. */
export const LARGE_TIER_MIN_BYTES = 1024 * 1024 * 1024;

/** `database`: a row of blob_bytes. `object` and `large`: an object of the store of that name. */
export type BlobTier = "database" | "object" | "large";
export type ObjectTier = Exclude<BlobTier, "database">;

/** Where blobs go, by their size. Where one is, its row says: by its tier and key. */
export interface ObjectTiers {
  readonly object: ObjectStore;
  /** May be the same store. */
  readonly large: ObjectStore;
  readonly objectMinBytes: number;
  readonly largeMinBytes: number;
  /** Null where objects lie in the stores of their tiers, now and ever, as in a test. */
  readonly known: KnownStores | null;
}

/** The stores that this installation uses and has used, by id. */
export interface KnownStores {
  readonly ids: Readonly<Record<ObjectTier, string>>;
  /** Those that are configured: of the tiers, and those that are only read. */
  readonly open: ReadonlyMap<string, ObjectStore>;
  /** Holds the objects of before keys named their store. */
  readonly first: string;
  /** Where each store was last, for people. */
  readonly places: ReadonlyMap<string, string>;
}

/** One store for all objects, with the default sizes. */
export function oneStore(store: ObjectStore): ObjectTiers {
  return {
    object: store,
    large: store,
    objectMinBytes: OBJECT_TIER_MIN_BYTES,
    largeMinBytes: LARGE_TIER_MIN_BYTES,
    known: null,
  };
}

export function tierOf(tiers: ObjectTiers, size: number): BlobTier {
  if (size < tiers.objectMinBytes) return "database";
  return size < tiers.largeMinBytes ? "object" : "large";
}

/** A key for a new object of this tier. */
export function keyIn(tiers: ObjectTiers, tier: ObjectTier, project: string, digest: string): string {
  return newObjectKey(project, digest, tiers.known?.ids[tier] ?? null);
}

/** The store that holds the object of this key; null when it is not among those configured. */
export function findStoreOf(tiers: ObjectTiers, tier: ObjectTier, key: string): ObjectStore | null {
  if (tiers.known === null) return tiers[tier];
  return tiers.known.open.get(storeIdOf(key) ?? tiers.known.first) ?? null;
}

/** The same, where it is an error that the store is not configured. */
export function storeOf(tiers: ObjectTiers, tier: ObjectTier, key: string): ObjectStore {
  const store = findStoreOf(tiers, tier, key);
  if (store !== null) return store;
  const id = storeIdOf(key) ?? tiers.known?.first ?? "";
  const place = tiers.known?.places.get(id) ?? "a place that this server does not know yet";
  throw new BerthError("store_misconfigured", `An object lies in a store that is not configured: ${id}, ${place}.`, {
    advice: "Add that store to BERTH_OLD_OBJECTS of the server, and start it again.",
  });
}
