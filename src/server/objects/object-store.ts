import type { Readable } from "node:stream";
import { BerthError } from "../../protocol/errors.ts";
import type { DirectTransfers } from "./direct-transfers.ts";
import type { ResumableWrites } from "./resumable-writes.ts";

/**
 * Named bytes, outside of the database: a folder, or a bucket. `contract.ts` is the suite that every implementation
 * passes.
 *
 * An object is there whole or not at all, for every reader and after every crash; it never changes while it is read.
 * All methods may be called at once, from several processes. Putting a key that exists replaces it in one step, so two
 * puts of the same bytes cannot harm each other. What a put leaves behind when its process dies is invisible, and
 * removed by `collectUnfinished`.
 *
 * Keys are checked by every method: see checkKey. They hold ids and digests, never a text of the user's.
 *
 * What a store cannot do is a BerthError that names the store and what was attempted: `unavailable` when it does not
 * answer or fails, and the same request may work later; `storage_full`; `store_misconfigured` when the store refuses
 * what it is asked for (rights, bucket, credentials) and somebody has to change something first.
 */
export interface ObjectStore {
  /** Which store this is, in words that a person can act on: `folder /var/lib/berth`, `bucket b at https://…`. */
  readonly place: string;
  /** How clients reach objects without this server in between; null where they cannot, as with a folder. */
  readonly direct: DirectTransfers | null;
  /** Writes over several requests through this server. */
  readonly resumable: ResumableWrites;
  /** Fails when the store cannot be used: it is not there, or may not be listed, read and written with these rights. */
  check(): Promise<void>;
  /**
   * Stores the stream under the key and returns the number of bytes, which are durable by then. When the stream fails,
   * the put fails with the same error and nothing changes. `size`, where it is known, lets a store choose its parts;
   * a stream of another length is stored all the same.
   */
  put(key: string, bytes: Readable | AsyncIterable<Uint8Array>, size?: number): Promise<number>;
  /** Opens an object, or bytes `start` to `end` of it (both included, as in HTTP); null when there is none. */
  open(key: string, range?: ByteRange): Promise<OpenObject | null>;
  stat(key: string): Promise<ObjectStat | null>;
  /** Deleting what is not there is fine. */
  delete(key: string): Promise<void>;
  /** Every object whose key starts with the prefix (empty, or ending with "/"), in no particular order. */
  list(prefix: string): AsyncIterable<ObjectStat>;
  /**
   * Removes what puts and direct uploads by parts left and that has not moved for this long; returns how many. What
   * is being uploaded for longer than that is lost: its next part, or its completion, is refused.
   */
  collectUnfinished(olderThanMs: number): Promise<number>;
}

export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export interface ObjectStat {
  readonly key: string;
  readonly size: number;
  readonly modifiedAt: Date;
}

export interface OpenObject {
  /** Of the whole object, also when a part is read. */
  readonly size: number;
  /** Destroying it releases what it holds. */
  readonly stream: Readable;
}

export const KEY_MAX_CHARS = 512;
const KEY = /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*(?:\/[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)*$/;

/** Names of ASCII letters, digits, `_`, `-` and single dots inside, joined by `/`: nothing can point elsewhere. */
export function checkKey(key: string): void {
  if (key.length > KEY_MAX_CHARS || !KEY.test(key)) {
    throw new BerthError("invalid_request", `${JSON.stringify(key.slice(0, 100))} cannot be the key of an object.`);
  }
}
