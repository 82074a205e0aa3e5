import { buffer } from "node:stream/consumers";
import { FolderManifest, type ManifestEntry } from "../../protocol/artifacts.ts";
import { BerthError } from "../../protocol/errors.ts";
import { Permits } from "../../std/permits.ts";
import type { BlobStore } from "../store/blobs.ts";

/** Of one server: the largest manifest takes some hundred megabytes while it is read. */
const READ_AT_ONCE = 2;
const turns = new Permits(READ_AT_ONCE);

/**
 * Reads the manifest of a folder and hands on what `pick` takes of its entries, which is all that stays in memory. Those
 * that are read at the same time wait for each other.
 */
export async function pickFromManifest<T>(
  blobs: Pick<BlobStore, "open">,
  { project, digest, signal }: { readonly project: string; readonly digest: string; readonly signal: AbortSignal },
  pick: (entries: readonly ManifestEntry[]) => T,
): Promise<T> {
  using _turn = await turns.acquire(signal).catch((cause: unknown) => {
    // The client is gone, or the server stops: another one, or this one later, does it.
    throw new BerthError("unavailable", "The request was ended while it waited.", { cause, advice: "Try again." });
  });
  const manifest = await blobs.open(project, digest);
  if (manifest === null) throw new BerthError("gone", `The bytes of ${digest} are not in the store any more.`);
  return pick(FolderManifest.parse(JSON.parse((await buffer(manifest.stream)).toString("utf8"))).entries);
}
