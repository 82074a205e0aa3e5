import { hash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { BLOB_BATCH_MAX_COUNT, type BlobWithBytes } from "../protocol/blob-batch.ts";
import { TimeSlice } from "../std/time-slice.ts";
import type { ManyFetcher } from "./blob-fetcher.ts";
import type { BlobFolder } from "./blob-folder.ts";

/**
 * Fetches small blobs into the folder, thousands to a request, and calls `onReceived` for each. What does not come, or
 * comes with other bytes, is left to be fetched alone, which says why.
 */
export async function receiveMany(
  folder: BlobFolder,
  digests: readonly string[],
  fetchMany: ManyFetcher,
  { onReceived, signal }: { onReceived(digest: string, size: number): void; readonly signal: AbortSignal },
): Promise<void> {
  const slice = new TimeSlice();
  for (let start = 0; start < digests.length; ) {
    const asked = digests.slice(start, start + BLOB_BATCH_MAX_COUNT);
    const received = await fetchMany(asked, signal);
    // An answer is in the order asked for, and may be full before its end.
    const last = received.at(-1);
    start += last === undefined ? asked.length : Math.max(1, asked.indexOf(last.digest) + 1);
    const wanted = new Set(asked);
    for (const blob of received) {
      await slice.breathe();
      if (!wanted.delete(blob.digest) || !settle(folder, blob)) continue;
      onReceived(blob.digest, blob.bytes.length);
    }
  }
}

function settle(folder: BlobFolder, { digest, bytes }: BlobWithBytes): boolean {
  if (hash("sha256", bytes) !== digest) return false;
  const file = folder.newIncoming();
  writeFileSync(file, bytes, { flag: "wx", mode: 0o600 });
  folder.settle(file, digest);
  return true;
}
