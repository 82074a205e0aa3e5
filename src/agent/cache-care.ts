import { closeSync, constants, lstatSync, openSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { BlobFolder } from "../runtime/blob-folder.ts";
import { usedLately } from "../runtime/used-lately.ts";
import { errnoOf } from "../std/errno.ts";
import { type HashedBytes, hashDescriptor } from "../std/hash-file.ts";
import { neededBlobs } from "./needed-blobs.ts";

/** What a worker's cache holds, as it is on the disk. */
export interface CacheContents {
  readonly folder: string;
  readonly blobs: number;
  readonly bytes: number;
  readonly budgetBytes: number;
  /** What a run on this worker needs or used within the last minute: `prune` leaves it. */
  readonly neededBytes: number;
  /** When the longest unused was used last; null for an empty cache. */
  readonly oldestUse: string | null;
}

export interface CacheVerified {
  readonly blobs: number;
  readonly bytes: number;
  /** By digest; they are gone. */
  readonly damaged: readonly string[];
}

export interface CachePruned {
  readonly removed: number;
  readonly removedBytes: number;
  readonly leftBytes: number;
}

/**
 * What people do to a worker's cache, whether its agent runs or not: everything is looked up on the disk, and what goes is
 * nothing but what an agent may lose at any time.
 */
export class CacheCare {
  readonly #home: string;
  readonly #blobs: BlobFolder;
  readonly #budgetBytes: number;

  constructor(home: string, { cacheBytesMax }: { readonly cacheBytesMax: number }) {
    this.#home = home;
    this.#blobs = new BlobFolder(join(home, "cache"));
    this.#budgetBytes = cacheBytesMax;
  }

  async show(): Promise<CacheContents> {
    const needed = await neededBlobs(this.#home, this.#blobs);
    let [blobs, bytes, neededBytes] = [0, 0, 0];
    let oldestUseMs: number | null = null;
    for await (const { digest, size, usedAtMs } of this.#blobs.list()) {
      blobs += 1;
      bytes += size;
      if (needed.has(digest) || usedLately(usedAtMs)) neededBytes += size;
      oldestUseMs = Math.min(oldestUseMs ?? usedAtMs, usedAtMs);
    }
    const oldestUse = oldestUseMs === null ? null : new Date(oldestUseMs).toISOString();
    const folder = join(this.#home, "cache");
    return { folder, blobs, bytes, budgetBytes: this.#budgetBytes, neededBytes, oldestUse };
  }

  /** Hashes every blob, and removes those that are damaged: who needs one of them fetches it again. */
  async verify(onBlob: (hashedBytes: number) => void = () => {}): Promise<CacheVerified> {
    const damaged: string[] = [];
    let [blobs, bytes] = [0, 0];
    for await (const { digest, size } of this.#blobs.list()) {
      const sound = await this.#isSound(digest, size);
      if (sound === null) continue;
      if (!sound) damaged.push(digest);
      blobs += 1;
      bytes += size;
      onBlob(bytes);
    }
    return { blobs, bytes, damaged };
  }

  /** Removes the longest unused blobs until at most this many bytes are left, and none that a run needs. */
  async prune(bytesMax: number): Promise<CachePruned> {
    const found = await Array.fromAsync(this.#blobs.list());
    found.sort((left, right) => left.usedAtMs - right.usedAtMs);
    // Read after the list: what was taken in since is in use, and is named by a journal before it is not any more.
    const needed = await neededBlobs(this.#home, this.#blobs);
    let leftBytes = found.reduce((sum, { size }) => sum + size, 0);
    let [removed, removedBytes] = [0, 0];
    for (const { digest, size } of found) {
      if (leftBytes <= bytesMax) break;
      if (needed.has(digest) || !this.#remove(digest)) continue;
      removed += 1;
      removedBytes += size;
      leftBytes -= size;
    }
    return { removed, removedBytes, leftBytes };
  }

  #remove(digest: string): boolean {
    const path = this.#blobs.pathOf(digest);
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats !== undefined && usedLately(stats.atimeMs)) return false;
    return unlinked(path);
  }

  /** Null for one that went meanwhile. */
  async #isSound(digest: string, size: number): Promise<boolean | null> {
    const path = this.#blobs.pathOf(digest);
    try {
      const before = lstatSync(path);
      if ((await hashUnused(path, size)).digest === digest) return true;
      // An agent may have put a sound one in its place.
      if (lstatSync(path).ino === before.ino) unlinked(path);
      return false;
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return null;
      throw error;
    }
  }
}

/** Reads without a trace: the time of a blob's last use is what decides which goes first. */
async function hashUnused(path: string, size: number): Promise<HashedBytes> {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | (constants.O_NOATIME ?? 0));
  try {
    return await hashDescriptor(fd, size);
  } finally {
    closeSync(fd);
  }
}

/** What is gone already counts as removed. */
function unlinked(path: string): true {
  try {
    unlinkSync(path);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
  return true;
}
