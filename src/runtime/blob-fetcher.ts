import type { BlobWithBytes } from "../protocol/blob-batch.ts";

/**
 * Where blobs come from that this worker does not hold: one run's lease on the server. The bytes are checked by whoever
 * asked. Each call starts from the first byte.
 */
export type BlobFetcher = (digest: string, size: number | null, signal: AbortSignal) => AsyncIterable<Uint8Array>;

/** The same for many small blobs at once: see `POST /runs/:run/blobs/read` in blob-batch.ts. */
export type ManyFetcher = (digests: readonly string[], signal: AbortSignal) => Promise<BlobWithBytes[]>;
