/**
 * Transfers between a client and the store itself, by requests that this server signs and never sees.
 *
 * Whoever holds such a request can do that one thing until it expires: read that object, or write those bytes under
 * that key. So keys of uploads are new ones, which no row names before the upload is checked; see object-key.ts.
 *
 * One request for a small object: `writeUrl`, then the client's PUT, then `stat` says whether it is there. By parts for
 * a large one: `beginParts` once; `partUrl` for each part, in any order, several at once, and again after a failure or
 * an expiry, where a later part of the same number replaces the earlier; `listParts` says after a cut what is there;
 * `completeParts` makes the object, in one step. Until then nothing is visible. An upload ends with `completeParts`,
 * `abortParts`, or by `collectUnfinished`, after which it is `gone`.
 *
 * The store checks each body against its MD5 and refuses others. Nothing but the client's own word says that the whole
 * has the SHA-256 it was announced with; everybody who reads it checks that again.
 */
export interface DirectTransfers {
  /** Each part but the last has at least this many bytes. */
  readonly partMinBytes: number;
  readonly partMaxBytes: number;
  /** Numbers of parts go from 1 to this. */
  readonly partsMax: number;
  /** Most bytes of one `writeUrl`. */
  readonly writeMaxBytes: number;
  /** The client may add a `range` of its own. What is not there is the store's 404. */
  readUrl(key: string, options: { readonly expiresInMs: number }): Promise<DirectRequest>;
  writeUrl(key: string, body: DirectBody): Promise<DirectRequest>;
  /** Returns the id of the upload. */
  beginParts(key: string): Promise<string>;
  partUrl(key: string, uploadId: string, number: number, body: DirectBody): Promise<DirectRequest>;
  /** In order of their numbers; throws `gone` when there is no such upload (any more). */
  listParts(key: string, uploadId: string): Promise<StoredPart[]>;
  /**
   * Makes the object of these parts, which are all that were listed. Throws `gone` when there is no such upload, as
   * after a completion whose answer was lost: then `stat` says whether the object is there.
   */
  completeParts(key: string, uploadId: string, parts: readonly StoredPart[]): Promise<void>;
  /** Aborting what is not there is fine. */
  abortParts(key: string, uploadId: string): Promise<void>;
}

/** What a client is about to send. */
export interface DirectBody {
  readonly size: number;
  /** Of the body, in base64, as in `content-md5`. */
  readonly md5: string;
  readonly expiresInMs: number;
}

/** To be sent as it is: each of these headers, and no other `content-…` or `x-amz-…` one. */
export interface DirectRequest {
  readonly method: "GET" | "PUT";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly expiresAt: Date;
}

export interface StoredPart {
  readonly number: number;
  readonly size: number;
  /** What the store calls this version of the part. */
  readonly tag: string;
}
