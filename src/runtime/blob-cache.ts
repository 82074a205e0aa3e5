import { lstatSync, unlinkSync, utimesSync } from "node:fs";
import { BATCHED_BLOB_MAX_BYTES } from "../protocol/blob-batch.ts";
import { errnoOf } from "../std/errno.ts";
import { hashFile } from "../std/hash-file.ts";
import { SingleFlight } from "../std/single-flight.ts";
import { adoptFile, type Sealed } from "./adopt-file.ts";
import type { BlobSource } from "./attempt-work.ts";
import type { BlobFetcher, ManyFetcher } from "./blob-fetcher.ts";
import { BlobFolder } from "./blob-folder.ts";
import { type CacheFigures, NO_FIGURES, withAsked, withEvicted } from "./cache-figures.ts";
import { hasProofMark, proofMark } from "./proof-mark.ts";
import { receiveBlob } from "./receive-blob.ts";
import { receiveMany } from "./receive-many.ts";
import { USED_LATELY_MS } from "./used-lately.ts";

/** When everything is held or in use, looking for something to evict is not repeated more often than this. */
const EVICTION_RETRY_MS = 1_000;
/** Fewer missing blobs than this are fetched one by one. */
const PREFETCH_MIN_BLOBS = 8;
/** The last use is noted on disk at most this often per blob. */
const USE_STAMP_INTERVAL_MS = 60_000;

export interface BlobCacheOptions {
  readonly folder: string;
  /** Bytes that blobs may take; what is held or was just used may exceed it for a while. */
  readonly budgetBytes: number;
}

interface Blob {
  readonly digest: string;
  /** Null when it is not known. */
  readonly size: number | null;
}

interface Entry {
  readonly size: number;
  usedAtMs: number;
  stampedAtMs: number;
}

/**
 * The worker's blobs, addressed by content, below a byte budget. Other processes may use the same folder: whatever is
 * known here is checked against the disk before it is relied on.
 */
export class BlobCache {
  readonly #folder: BlobFolder;
  readonly #budgetBytes: number;
  /** In order of last use, the longest unused first. */
  readonly #entries = new Map<string, Entry>();
  readonly #holds = new Map<string, number>();
  readonly #flights = new SingleFlight<boolean>();
  #counts = NO_FIGURES;
  /** Fetched ahead of being asked for one by one. */
  readonly #prefetched = new Set<string>();
  #usedBytes = 0;
  #nextEvictionAtMs = 0;

  private constructor(options: BlobCacheOptions) {
    this.#folder = new BlobFolder(options.folder);
    this.#budgetBytes = options.budgetBytes;
  }

  /** Reads what is there from before: about a second per 100,000 blobs. */
  static async open(options: BlobCacheOptions): Promise<BlobCache> {
    const cache = new BlobCache(options);
    await cache.#folder.removeAbandoned();
    const found = await Array.fromAsync(cache.#folder.list());
    found.sort((left, right) => left.usedAtMs - right.usedAtMs);
    for (const { digest, size, usedAtMs } of found) cache.#note(digest, size, usedAtMs);
    return cache;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** What it holds and how it does, for people. */
  get figures(): CacheFigures & { readonly budgetBytes: number; readonly usedBytes: number; readonly blobs: number } {
    const held = { budgetBytes: this.#budgetBytes, usedBytes: this.#usedBytes, blobs: this.#entries.size };
    return { ...held, ...this.#counts };
  }

  /** The cache as one run sees it, which fetches what is missing under its own lease. */
  sourceOf(fetchBlob: BlobFetcher, fetchMany?: ManyFetcher): BlobSource {
    return {
      prefetch: async (blobs, signal) => {
        if (fetchMany !== undefined) await this.#prefetch(blobs, fetchMany, signal);
      },
      ensure: (digest, size, signal) => this.#ensure({ digest, size }, fetchBlob, signal),
      adopt: (file, digest, size, sealed) => this.adopt(file, digest, size, sealed),
    };
  }

  /** The path of a blob that must be here, such as one that waits for its upload; null when it is not. */
  find(digest: string, size: number | null): string | null {
    const stats = this.#folder.find(digest, size);
    if (stats === null) return null;
    this.#use(digest, stats.size);
    return this.#folder.pathOf(digest);
  }

  /** See BlobSource. */
  async adopt(file: string, digest: string, size: number, sealed?: Sealed): Promise<string> {
    const present = this.#folder.find(digest, size);
    if (present === null || !this.#folder.isProven(present)) {
      await adoptFile(this.#folder, { file, digest, size, sealed });
    }
    this.#use(digest, size);
    this.#evict();
    return this.#folder.pathOf(digest);
  }

  /** Keeps blobs from eviction until disposed: what is still to be uploaded, and what a run will read. */
  hold(digests: Iterable<string>): Disposable {
    const held = [...digests];
    for (const digest of held) this.#holds.set(digest, (this.#holds.get(digest) ?? 0) + 1);
    return {
      [Symbol.dispose]: () => {
        for (const digest of held.splice(0)) {
          const count = this.#holds.get(digest)! - 1;
          if (count === 0) this.#holds.delete(digest);
          else this.#holds.set(digest, count);
        }
        this.#evict();
      },
    };
  }

  async #ensure(blob: Blob, fetchBlob: BlobFetcher, signal?: AbortSignal): Promise<string> {
    let present = this.#folder.find(blob.digest, blob.size);
    if (present !== null && !this.#folder.isProven(present)) present = null;
    let wasThere = !this.#prefetched.delete(blob.digest);
    // What was just brought was hashed, and needs no further proof: right after a start of the machine nothing has it.
    while (present === null) {
      wasThere = await this.#bring(blob, fetchBlob, signal);
      present = this.#folder.find(blob.digest, blob.size);
    }
    this.#counts = withAsked(this.#counts, present.size, wasThere);
    this.#use(blob.digest, present.size);
    this.#evict();
    return this.#folder.pathOf(blob.digest);
  }

  async #prefetch(blobs: readonly Blob[], fetchMany: ManyFetcher, signal: AbortSignal): Promise<void> {
    const missing = new Set<string>();
    for (const { digest, size } of blobs) {
      if (size === null || size > BATCHED_BLOB_MAX_BYTES) continue;
      if (this.#folder.find(digest, size) === null) missing.add(digest);
    }
    if (missing.size < PREFETCH_MIN_BLOBS) return;
    await receiveMany(this.#folder, [...missing], fetchMany, {
      onReceived: (digest, size) => {
        this.#prefetched.add(digest);
        this.#use(digest, size);
      },
      signal,
    });
    this.#evict();
  }

  /** Says whether it was here, and only had to be hashed. */
  async #bring(blob: Blob, fetchBlob: BlobFetcher, signal?: AbortSignal): Promise<boolean> {
    for (;;) {
      const joins = this.#flights.has(blob.digest);
      try {
        return await this.#flights.run(blob.digest, (abort) => this.#proveOrReceive(blob, fetchBlob, abort), signal);
      } catch (error) {
        // Another run's fetch failed, perhaps because of its own lease: that says nothing about ours.
        if (!joins || signal?.aborted) throw error;
      }
    }
  }

  async #proveOrReceive(blob: Blob, fetchBlob: BlobFetcher, signal: AbortSignal): Promise<boolean> {
    const present = this.#folder.find(blob.digest, blob.size);
    if (present !== null && (await this.#prove(blob.digest, present.size))) return true;
    await receiveBlob(this.#folder, blob, fetchBlob, signal);
    return false;
  }

  async #prove(digest: string, size: number): Promise<boolean> {
    const path = this.#folder.pathOf(digest);
    const before = lstatSync(path);
    const { digest: found } = await hashFile(path, size);
    const after = lstatSync(path);
    if (found !== digest || after.ino !== before.ino || after.mtimeMs !== before.mtimeMs) return false;
    utimesSync(path, new Date(), proofMark());
    return true;
  }

  #use(digest: string, size: number): void {
    const now = Date.now();
    const entry = this.#note(digest, size, now);
    if (now - entry.stampedAtMs < USE_STAMP_INTERVAL_MS) return;
    entry.stampedAtMs = now;
    const path = this.#folder.pathOf(digest);
    const stats = lstatSync(path, { throwIfNoEntry: false });
    // What somebody wrote to keeps its time to the last fraction, for that tells.
    if (stats !== undefined && hasProofMark(stats)) utimesSync(path, new Date(now), stats.mtime);
  }

  #note(digest: string, size: number, usedAtMs: number): Entry {
    const known = this.#entries.get(digest);
    this.#entries.delete(digest);
    if (known === undefined) this.#usedBytes += size;
    const entry = known ?? { size, usedAtMs, stampedAtMs: usedAtMs };
    entry.usedAtMs = usedAtMs;
    this.#entries.set(digest, entry);
    return entry;
  }

  #evict(): void {
    const now = Date.now();
    if (this.#usedBytes <= this.#budgetBytes || now < this.#nextEvictionAtMs) return;
    const idleSince = now - USED_LATELY_MS;
    for (const [digest, entry] of this.#entries) {
      if (this.#usedBytes <= this.#budgetBytes) return;
      if (entry.usedAtMs > idleSince) break;
      if (!this.#holds.has(digest)) this.#remove(digest, entry, idleSince);
    }
    this.#nextEvictionAtMs = now + EVICTION_RETRY_MS;
  }

  #remove(digest: string, entry: Entry, idleSince: number): void {
    const path = this.#folder.pathOf(digest);
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats !== undefined && stats.atimeMs > idleSince) {
      this.#note(digest, entry.size, stats.atimeMs); // Another process uses it.
      return;
    }
    try {
      unlinkSync(path);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
    }
    this.#entries.delete(digest);
    this.#usedBytes -= entry.size;
    this.#counts = withEvicted(this.#counts, entry.size);
  }
}
