/**
 * Where blobs come from that this worker does not hold: one run's lease on the server. The bytes are checked by whoever
 * asked. Each call starts from the first byte.
 */
export type BlobFetcher = (digest: string, size: number | null, signal: AbortSignal) => AsyncIterable<Uint8Array>;
