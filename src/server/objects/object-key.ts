import { newId } from "../../protocol/ids.ts";

/**
 * The key of one more upload of a blob. Each upload has a key of its own, so that none can overwrite bytes that a row
 * names. Two characters of the digest keep folders small.
 */
export function newObjectKey(project: string, digest: string): string {
  return `${sharedKey(project, digest)}.${newId("upload")}`;
}

/** What objects were called before uploads had keys of their own. */
export function sharedKey(project: string, digest: string): string {
  return `blobs/${project}/${digest.slice(0, 2)}/${digest}`;
}
