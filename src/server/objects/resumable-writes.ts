import type { Readable } from "node:stream";

/**
 * Objects that are written bit by bit, over several requests, by whichever server gets them. `reference` is what the
 * store calls the write; it is kept in the upload's row.
 *
 * Nothing is visible before `finish`, which makes the object in one step. One append of a write goes on at a time: who
 * begins another has ended the first; see uploads.ts. A write ends with `finish`, `abort`, or by the store's
 * `collectUnfinished`, after which it is null to `written`.
 */
export interface ResumableWrites {
  /** `size` is that of the whole, so that the store can choose its parts. */
  begin(key: string, size: number): Promise<string>;
  /** Bytes that are kept; null when there is no such write (any more). */
  written(key: string, reference: string): Promise<number | null>;
  /**
   * Appends at `offset`, which is what `written` says. `onKept` hears of bytes once the store will not lose them with
   * this process, in order and each once; the offset after them is returned. When the stream fails the append fails with
   * the same error, and keeps what it can of what arrived.
   */
  append(key: string, reference: string, append: AppendedBytes): Promise<number>;
  /** Makes the object of all that was written, durably. Throws `not_found` when there is no such write. */
  finish(key: string, reference: string): Promise<void>;
  /** Aborting what is not there is fine. */
  abort(key: string, reference: string): Promise<void>;
}

export interface AppendedBytes {
  /** Of the whole, as `begin` was told. */
  readonly size: number;
  readonly offset: number;
  readonly bytes: Readable | AsyncIterable<Uint8Array>;
  onKept(bytes: Uint8Array): void;
}
