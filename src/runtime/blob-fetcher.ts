import type { BlobWithBytes } from "../protocol/blob-batch.ts";

/**
 * Where blobs come from that this worker does not hold: one run's lease on the server. The bytes are checked by whoever
 * asked. Each call starts from byte `from`.
 */
export interface BlobFetcher {
  (digest: string, size: number | null, signal: AbortSignal, from: number): AsyncIterable<Uint8Array>;
  /** Several parts of a blob at once; null where it comes as one stream only. */
  readonly ranges?: (digest: string, size: number, signal: AbortSignal) => Promise<RangeReader | null>;
}

export interface RangeReader {
  /** Bytes `start` up to `end`, which is not included; tries again by itself what is worth it. */
  read(start: number, end: number): AsyncIterable<Uint8Array>;
  /** Waits until one more part may be read. */
  acquire(): Promise<Disposable>;
  /** Whether an error of `read` says that parts cannot be had, so that the rest is to come as one stream. */
  unusable(error: unknown): boolean;
}

/** The same for many small blobs at once: see `POST /runs/:run/blobs/read` in blob-batch.ts. */
export type ManyFetcher = (digests: readonly string[], signal: AbortSignal) => Promise<BlobWithBytes[]>;
