import type { Readable } from "node:stream";
import { BerthError } from "../../protocol/errors.ts";
import type { ResumableWrites } from "../objects/resumable-writes.ts";
import type { Database } from "./database.ts";
import type { UploadHashes } from "./upload-hashes.ts";
import { countAppend, isLastAppend, type UploadRow } from "./upload-rows.ts";

/** How often an append that goes on makes sure that it still may: a lease may be lost, or the sender may have come again. */
const CHECK_INTERVAL_MS = 5_000;

export interface Append {
  readonly offset: number;
  /** As announced by the request. */
  readonly length: number;
  readonly bytes: Readable;
  /** Throws once the sender may not go on. */
  readonly stillAllowed: () => Promise<void>;
}

/**
 * Appends to uploads, one at a time for each. Who comes again has lost the connection of before, even where this server
 * has not heard of that: the newer append ends the older.
 */
export class UploadAppends {
  readonly #database: Database;
  readonly #hashes: UploadHashes;
  readonly #live = new Map<string, { readonly bytes: Readable; readonly done: Promise<void> }>();

  constructor(database: Database, hashes: UploadHashes) {
    this.#database = database;
    this.#hashes = hashes;
  }

  /** Returns where the upload is now. */
  async append(upload: UploadRow, writes: ResumableWrites, append: Append): Promise<number> {
    if (append.offset + append.length > upload.size) {
      throw new BerthError("invalid_request", `The upload has ${upload.size} bytes; this would be more.`);
    }
    const before = this.#live.get(upload.id);
    const { promise: done, resolve } = Promise.withResolvers<void>();
    const live = { bytes: append.bytes, done };
    this.#live.set(upload.id, live);
    try {
      before?.bytes.destroy(superseded());
      await before?.done;
      return await this.#append(upload, writes, append);
    } finally {
      if (this.#live.get(upload.id) === live) this.#live.delete(upload.id);
      resolve();
    }
  }

  /** Ends the append under way, if there is one. */
  async end(upload: string): Promise<void> {
    const live = this.#live.get(upload);
    live?.bytes.destroy(superseded());
    await live?.done;
  }

  async #append({ id, objectKey, reference, size }: UploadRow, writes: ResumableWrites, append: Append) {
    const { offset, bytes } = append;
    const number = await countAppend(this.#database.pool, id);
    if (number === null) throw unknownUpload();
    const check = async () => {
      await append.stillAllowed();
      if (!(await isLastAppend(this.#database.pool, id, number))) throw superseded();
    };
    let checking = Promise.resolve();
    const timer = setInterval(() => {
      checking = check().catch((error: Error) => {
        bytes.destroy(error);
      });
    }, CHECK_INTERVAL_MS);
    try {
      const onKept = this.#hashes.follow(id, number, offset);
      const end = await writes.append(objectKey, reference!, { size, offset, bytes, onKept });
      if (end - offset === append.length) return end;
      throw new BerthError("invalid_body", `The body ended after ${end - offset} of ${append.length} bytes.`);
    } finally {
      clearInterval(timer);
      await checking;
    }
  }
}

export function unknownUpload(): BerthError {
  return new BerthError("not_found", "There is no such unfinished upload (any more).", {
    advice: "Begin it again: what is stored by now is not sent a second time.",
  });
}

function superseded(): BerthError {
  return new BerthError("conflict", "The same upload goes on in a newer request.");
}
