import { createHash, type Hash } from "node:crypto";

/** Uploads whose hash is remembered; of one more, the oldest is forgotten, and hashed again when it is finished. */
const UPLOADS_MAX = 1_000;

interface Entry {
  readonly hash: Hash;
  /** Bytes that went into it. */
  offset: number;
  /** The append that it went through last. */
  append: number;
}

/**
 * The SHA-256 of what this process saw of unfinished uploads, so that they need not be read again at their end. Only a
 * shortcut: it holds as long as every byte came through here, which the numbers of the appends tell.
 */
export class UploadHashes {
  readonly #entries = new Map<string, Entry>();

  /** Takes the bytes of an append that begins at `offset`; returns what to call with each piece that was kept. */
  follow(upload: string, append: number, offset: number): (bytes: Uint8Array) => void {
    const known = this.#entries.get(upload);
    this.#entries.delete(upload);
    const goesOn = known !== undefined && known.offset === offset && known.append === append - 1;
    if (offset !== 0 && !goesOn) return () => {};
    const entry = goesOn ? known : { hash: createHash("sha256"), offset: 0, append };
    entry.append = append;
    this.#entries.set(upload, entry);
    if (this.#entries.size > UPLOADS_MAX) this.#entries.delete(this.#entries.keys().next().value!);
    return (bytes) => {
      entry.hash.update(bytes);
      entry.offset += bytes.length;
    };
  }

  /** The digest of all bytes, where it is known; forgets the upload. */
  digestOf(upload: string, append: number, size: number): string | null {
    const known = this.#entries.get(upload);
    this.#entries.delete(upload);
    return known?.append === append && known.offset === size ? known.hash.digest("hex") : null;
  }

  forget(upload: string): void {
    this.#entries.delete(upload);
  }
}
