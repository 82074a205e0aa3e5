import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { MANIFEST_MAX_BYTES } from "../protocol/artifacts.ts";
import { BerthError } from "../protocol/errors.ts";
import type { BlobFetcher } from "./blob-fetcher.ts";
import type { BlobFolder } from "./blob-folder.ts";

/** Damage on the way is rare and by chance, so it does not happen three times in a row; a damaged store does. */
const RECEIVE_ATTEMPTS_MAX = 3;

/** Fetches a blob into the folder. It gets its name only when its bytes were seen to be those of the digest. */
export async function receiveBlob(
  folder: BlobFolder,
  blob: { readonly digest: string; readonly size: number | null },
  fetchBlob: BlobFetcher,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const file = folder.newIncoming();
    try {
      // A blob of unknown size is a folder manifest.
      const found = await writeHashed(
        file,
        fetchBlob(blob.digest, blob.size, signal),
        blob.size ?? MANIFEST_MAX_BYTES,
        signal,
      );
      if (found.digest === blob.digest) return folder.settle(file, blob.digest);
      if (attempt === RECEIVE_ATTEMPTS_MAX) throw mismatch(blob, found);
    } finally {
      await rm(file, { force: true });
    }
  }
}

async function writeHashed(file: string, chunks: AsyncIterable<Uint8Array>, sizeMax: number, signal: AbortSignal) {
  const hash = createHash("sha256");
  let size = 0;
  await pipeline(
    chunks,
    async function* (source: AsyncIterable<Uint8Array>) {
      for await (const chunk of source) {
        size += chunk.length;
        // More than announced can only be wrong, and must not fill the disk.
        if (size > sizeMax) return;
        hash.update(chunk);
        yield chunk;
      }
    },
    createWriteStream(file, { flags: "wx", mode: 0o600 }),
    { signal },
  );
  return { digest: hash.digest("hex"), size };
}

function mismatch(blob: { digest: string; size: number | null }, found: { digest: string; size: number }): BerthError {
  return new BerthError(
    "digest_mismatch",
    `The blob ${blob.digest} (${blob.size ?? "any number of"} bytes) arrived ${RECEIVE_ATTEMPTS_MAX} times with other bytes ` +
      `(last: ${found.size} bytes, ${found.digest})`,
    { advice: "The stored blob is damaged, or something between server and worker changes what it carries." },
  );
}
