import type { Readable } from "node:stream";
import type { BlobWithBytes } from "../../protocol/blob-batch.ts";
import type { ByteRange } from "../objects/object-store.ts";

/** Bytes by SHA-256, once per project, in the tier that their size asks for. See ../objects/ for the object stores. */
export interface BlobStore {
  /** Which of these digests the project does not hold. */
  missing(project: string, digests: readonly string[]): Promise<string[]>;
  /**
   * Stores a blob; never visible before it is whole. Throws `digest_mismatch` when the bytes are others, or more or
   * fewer than `size`. Storing what is there already reads the stream to its end and changes nothing.
   */
  put(project: string, digest: string, size: number, bytes: Readable | Uint8Array): Promise<void>;
  /**
   * Stores many small blobs, those that become rows in one statement: all of them, or none when the bytes of one are
   * others (`digest_mismatch`).
   */
  putSmall(project: string, blobs: readonly BlobWithBytes[]): Promise<void>;
  /**
   * Many small blobs at once, whole and checked, in the order asked for and with at most `bytesMax` together. May leave
   * out any, such as what is missing, damaged, or not in the database: each can be asked for alone.
   */
  readSmall(project: string, digests: readonly string[], bytesMax: number): Promise<BlobWithBytes[]>;
  /**
   * Which of these blobs cannot be read as they were stored. All are looked for; hashed are as many as have at most
   * `hashedBytesMax` together, the smallest first. What was found is absent from then on, until it is put again.
   */
  faulty(project: string, digests: readonly string[], hashedBytesMax: number): Promise<Map<string, BlobFault>>;
  /**
   * Opens a blob, or the bytes `start` to `end` of it (both included, as in HTTP); null when the project does not hold
   * it. Bytes are checked when read whole: a stream whose bytes are not the blob's fails before its end. Whoever opens
   * reads the stream to its end or destroys it.
   */
  open(project: string, digest: string, range?: ByteRange): Promise<OpenBlob | null>;
}

export type BlobFault = "missing" | "damaged";

export interface OpenBlob {
  /** Of the whole blob, also when a part is read. */
  readonly size: number;
  readonly stream: Readable;
}
