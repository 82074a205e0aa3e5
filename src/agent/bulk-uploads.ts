import { readFileSync } from "node:fs";
import { BLOB_BATCH_MAX_BYTES, BLOB_BATCH_MAX_COUNT, type BlobWithBytes } from "../protocol/blob-batch.ts";
import { forEachLimit } from "../std/for-each-limit.ts";
import { TimeSlice } from "../std/time-slice.ts";
import { retrying } from "./retry.ts";
import type { LocalBlob, UploadOptions } from "./uploads.ts";

/** Digests per question; the protocol allows 10,000. */
const DIGESTS_PER_REQUEST = 5_000;
/** Requests under way at once for one folder: one is read from the disk while the server works on the other. */
const BATCHES_AT_ONCE = 2;

type Blob = Pick<LocalBlob, "digest" | "size">;

export interface BulkUploadOptions extends UploadOptions {
  /** Where the blob lies now; asked right before it is read. */
  pathOf(blob: Blob): string;
}

/**
 * Brings many small blobs of one run to the server, in batches: what a folder of many files is made of. Memory holds two
 * batches, however many there are.
 */
export class BulkUploads {
  readonly #options: BulkUploadOptions;
  /** What the server holds, as far as this run knows. */
  readonly #stored = new Set<string>();

  constructor(options: BulkUploadOptions) {
    this.#options = options;
  }

  /** Resolves when the server holds all of them. */
  async ensureStored(blobs: readonly Blob[]): Promise<void> {
    for (let start = 0; start < blobs.length; start += DIGESTS_PER_REQUEST) {
      const part = blobs.slice(start, start + DIGESTS_PER_REQUEST).filter(({ digest }) => !this.#stored.has(digest));
      if (part.length > 0) await this.#ensure(part);
    }
  }

  /** Forgets that these were stored: the server says that it does not hold them. */
  forget(digests: readonly string[]): void {
    for (const digest of digests) this.#stored.delete(digest);
  }

  async #ensure(blobs: readonly Blob[]): Promise<void> {
    const { client, run, epoch, signal, log } = this.#options;
    const digests = blobs.map(({ digest }) => digest);
    const missing = new Set(
      await retrying({ what: "asking for missing blobs", signal, log }, () =>
        client.missingBlobs(run, epoch, digests, signal),
      ),
    );
    const wanted = blobs.filter(({ digest }) => missing.has(digest));
    await forEachLimit(batchesOf(wanted), BATCHES_AT_ONCE, (batch) => this.#send(batch));
    for (const digest of digests) this.#stored.add(digest);
  }

  async #send(batch: readonly Blob[]): Promise<void> {
    const { client, run, epoch, permits, signal, log, pathOf } = this.#options;
    using _permit = await permits.acquire();
    const slice = new TimeSlice();
    const blobs: BlobWithBytes[] = [];
    for (const blob of batch) {
      blobs.push({ digest: blob.digest, bytes: readFileSync(pathOf(blob)) });
      await slice.breathe();
    }
    await retrying({ what: "uploading the files of an output", signal, log }, () =>
      client.putBlobs(run, epoch, blobs, signal),
    );
  }
}

/** Consecutive blobs, as many as one request may hold. */
export function* batchesOf<T extends { readonly size: number }>(blobs: readonly T[]): Generator<T[]> {
  let batch: T[] = [];
  let bytes = 0;
  for (const blob of blobs) {
    if (batch.length > 0 && (batch.length === BLOB_BATCH_MAX_COUNT || bytes + blob.size > BLOB_BATCH_MAX_BYTES)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(blob);
    bytes += blob.size;
  }
  if (batch.length > 0) yield batch;
}
