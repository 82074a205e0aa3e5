import { newId } from "../../protocol/ids.ts";

/**
 * The key of one more upload of a blob: `blobs/<project>/<2 characters>/<digest>.<store>.<upload>`. Each upload has a key of
 * its own, so that none can overwrite bytes that a row names. Two characters of the digest keep folders small. The store
 * is left out where stores have no ids.
 */
export function newObjectKey(project: string, digest: string, store: string | null): string {
  return [sharedKey(project, digest), ...(store === null ? [] : [store]), newId("upload")].join(".");
}

/** What objects were called before uploads had keys of their own. */
export function sharedKey(project: string, digest: string): string {
  return `blobs/${project}/${digest.slice(0, 2)}/${digest}`;
}

/** Id of the store that the object was put into; null for one of before keys said so. */
export function storeIdOf(key: string): string | null {
  return /\/[0-9a-f]{64}\.([0-9a-z]{8})\.[^./]+$/.exec(key)?.[1] ?? null;
}
