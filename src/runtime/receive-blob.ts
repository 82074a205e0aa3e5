import { rm } from "node:fs/promises";
import { MANIFEST_MAX_BYTES } from "../protocol/artifacts.ts";
import { BerthError } from "../protocol/errors.ts";
import { UPLOAD_MIN_BYTES } from "../protocol/transfers.ts";
import { errnoOf } from "../std/errno.ts";
import { type HashedBytes, hashFile } from "../std/hash-file.ts";
import type { BlobFetcher } from "./blob-fetcher.ts";
import { type BlobFolder, NOTES_SUFFIX } from "./blob-folder.ts";
import { receiveParts } from "./receive-parts.ts";
import { receiveStream } from "./receive-stream.ts";

/** Damage on the way is rare and by chance, so it does not happen three times in a row; a damaged store does. */
const RECEIVE_ATTEMPTS_MAX = 3;

interface Blob {
  readonly digest: string;
  readonly size: number | null;
}

/**
 * Fetches a blob into the folder. It gets its name only when its bytes were seen to be those of the digest. Of a large
 * one, what had arrived when a fetch ended, or its process, need not be fetched again.
 */
export async function receiveBlob(
  folder: BlobFolder,
  blob: Blob,
  fetchBlob: BlobFetcher,
  signal: AbortSignal,
): Promise<void> {
  const isLarge = blob.size !== null && blob.size >= UPLOAD_MIN_BYTES;
  for (let attempt = 1; ; attempt++) {
    // After bytes that were wrong, none of them are used again.
    const file = isLarge && attempt === 1 ? folder.takePartial(blob.digest) : folder.newIncoming();
    let isLeft = false;
    try {
      const found = await receive(file, blob, fetchBlob, signal).catch((error: unknown) => {
        isLeft = isLarge && attempt === 1 && !isFull(error);
        throw error;
      });
      if (found.digest === blob.digest) {
        if (blob.size !== null && found.size !== blob.size) throw otherSize(blob, found);
        return folder.settle(file, blob.digest);
      }
      if (attempt === RECEIVE_ATTEMPTS_MAX) throw mismatch(blob, found);
    } finally {
      if (isLeft) folder.leavePartial(file, blob.digest);
      else await Promise.all([file, file + NOTES_SUFFIX].map((path) => rm(path, { force: true })));
    }
  }
}

async function receive(
  file: string,
  { digest, size }: Blob,
  fetchBlob: BlobFetcher,
  signal: AbortSignal,
): Promise<HashedBytes> {
  const isLarge = size !== null && size >= UPLOAD_MIN_BYTES;
  const reader = isLarge ? ((await fetchBlob.ranges?.(digest, size, signal)) ?? null) : null;
  if (reader !== null) {
    try {
      await receiveParts(file, size!, reader);
      return await hashFile(file, size!);
    } catch (error) {
      signal.throwIfAborted();
      if (!reader.unusable(error)) throw error;
    }
  }
  // A blob of unknown size is a folder manifest.
  const open = (from: number) => fetchBlob(digest, size, signal, from);
  return await receiveStream(file, size ?? MANIFEST_MAX_BYTES, open, signal);
}

/** What was received of it only keeps the disk full. */
function isFull(error: unknown): boolean {
  return errnoOf(error) === "ENOSPC" || errnoOf(error) === "EDQUOT";
}

/** The bytes are right, so that to fetch them again would never end. */
function otherSize({ digest, size }: Blob, found: HashedBytes): BerthError {
  return new BerthError(
    "digest_mismatch",
    `The blob ${digest} has ${found.size} bytes, not ${size} as was said of it`,
    {
      advice: "Whatever names the blob, such as the manifest of a folder, was not written by Berth or is damaged.",
    },
  );
}

function mismatch(blob: Blob, found: HashedBytes): BerthError {
  return new BerthError(
    "digest_mismatch",
    `The blob ${blob.digest} (${blob.size ?? "any number of"} bytes) arrived ${RECEIVE_ATTEMPTS_MAX} times with other bytes ` +
      `(last: ${found.size} bytes, ${found.digest})`,
    { advice: "The stored blob is damaged, or something between server and worker changes what it carries." },
  );
}
