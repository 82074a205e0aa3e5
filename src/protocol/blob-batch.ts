import { z } from "zod";
import { BerthError } from "./errors.ts";
import { Digest } from "./names.ts";

/**
 * Many small blobs in one request or answer: one line of JSON that says which, `\n`, then the bytes of all, one after
 * another. `POST /runs/:run/blobs` stores such a batch: every blob whose bytes are its own, or none.
 * `POST /runs/:run/blobs/read` is answered with one.
 */
export const BLOB_BATCH_CONTENT_TYPE = "application/vnd.berth.blobs";
/** Larger ones travel alone: a request of their own costs little beside their bytes. */
export const BATCHED_BLOB_MAX_BYTES = 256 * 1024;
/** What a batch holds at most: a part of a second of work, and a piece of memory that nobody misses. */
export const BLOB_BATCH_MAX_BYTES = 4 * 1024 * 1024;
export const BLOB_BATCH_MAX_COUNT = 4_000;
/** The line, with room for every entry. */
export const BLOB_BATCH_LINE_MAX_BYTES = BLOB_BATCH_MAX_COUNT * 128;

const BatchedBlob = z.strictObject({ digest: Digest, size: z.int().nonnegative().max(BATCHED_BLOB_MAX_BYTES) });
const BatchLine = z.strictObject({ blobs: z.array(BatchedBlob).max(BLOB_BATCH_MAX_COUNT) });

export interface BlobWithBytes {
  readonly digest: string;
  readonly bytes: Uint8Array;
}

/** `POST /runs/:run/blobs/read`: as many of these as one batch holds, in this order. Those left out are read alone. */
export const ReadBlobsRequest = z.object({
  epoch: z.int().min(1),
  digests: z.array(Digest).min(1).max(BLOB_BATCH_MAX_COUNT),
});
export const BlobBatchStored = z.object({ stored: z.int().nonnegative() });

export function encodeBlobBatch(blobs: readonly BlobWithBytes[]): Buffer {
  const line = { blobs: blobs.map(({ digest, bytes }) => ({ digest, size: bytes.length })) };
  return Buffer.concat([Buffer.from(`${JSON.stringify(line)}\n`), ...blobs.map(({ bytes }) => bytes)]);
}

/** The blobs of a batch, whose bytes are still to be held against their digests. */
export function decodeBlobBatch(batch: Buffer): BlobWithBytes[] {
  const end = batch.indexOf(0x0a);
  if (end < 0) throw wrong("has no line that says what is in it");
  let start = end + 1;
  const blobs = lineOf(batch.toString("utf8", 0, end)).map(({ digest, size }) => {
    start += size;
    return { digest, bytes: batch.subarray(start - size, start) };
  });
  if (start !== batch.length)
    throw wrong(`holds ${batch.length - end - 1} bytes, not the ${start - end - 1} announced`);
  return blobs;
}

function lineOf(line: string): z.infer<typeof BatchLine>["blobs"] {
  try {
    return BatchLine.parse(JSON.parse(line)).blobs;
  } catch (error) {
    const why = error instanceof z.ZodError ? error.issues[0]!.message : (error as Error).message;
    throw wrong(`begins with a line that cannot be read: ${why}`, error);
  }
}

function wrong(what: string, cause?: unknown): BerthError {
  return new BerthError("invalid_body", `The batch of blobs ${what}.`, { cause });
}
