import { randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  type Stats,
  utimesSync,
} from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Digest } from "../protocol/names.ts";
import { errnoOf } from "../std/errno.ts";
import { isSinceBoot } from "../std/since-boot.ts";
import { TimeSlice } from "../std/time-slice.ts";
import { BLOB_MODE } from "./place-file.ts";
import { hasProofMark, proofMark } from "./proof-mark.ts";

/** Half-received files older than this belong to nobody any more. */
const ABANDONED_AFTER_MS = 6 * 3600 * 1000;
/** Clocks step a little after a start; blobs so close to it are hashed once more, which is always safe. */
const BOOT_MARGIN_MS = 60_000;

/** Beside a half-received file: which parts of it are there. */
export const NOTES_SUFFIX = ".parts";
/** In the name of a half-received file, in place of the process that writes to it. */
const NOBODY = 0;
/**
 * When this process started. In a container every process of an agent may have the same id, so an id alone does not say
 * which wrote a file.
 */
const THIS_PROCESS = `${Math.trunc(performance.timeOrigin * 1000).toString(36)}-`;
/** Half-received files that are kept for a next fetch; of one more, the oldest is removed. */
const LEFT_MAX = 16;

/**
 * Blobs as files: `blobs/ab/<digest>`, mode 0444, complete from the moment they have their name. Of the times, `mtime`
 * is when the bytes were last known to be those of the digest, with the mark of proof-mark.ts that nobody wrote to them
 * since, and `atime` is when the blob was last used.
 *
 * Blobs are not synced one by one: that would cost each step more than all the rest. So a power cut may leave a name
 * without its bytes, and a blob from before the machine's last start counts as unproven until it is hashed again.
 */
export class BlobFolder {
  readonly #blobs: string;
  readonly #incoming: string;

  constructor(folder: string) {
    this.#blobs = join(folder, "blobs");
    this.#incoming = join(folder, "incoming");
    mkdirSync(this.#blobs, { recursive: true, mode: 0o700 });
    mkdirSync(this.#incoming, { recursive: true, mode: 0o700 });
  }

  pathOf(digest: string): string {
    // The digest becomes a path: nothing but a digest may.
    Digest.parse(digest);
    return join(this.#blobs, digest.slice(0, 2), digest);
  }

  /** What lies under this digest's name; a file of another size can only be damage, and counts as absent. */
  find(digest: string, size: number | null): Stats | null {
    const stats = lstatSync(this.pathOf(digest), { throwIfNoEntry: false });
    return stats?.isFile() && (size === null || stats.size === size) ? stats : null;
  }

  /** Whether the bytes can be relied on without hashing them again. */
  isProven(stats: Stats): boolean {
    return hasProofMark(stats) && isSinceBoot(stats.mtimeMs, BOOT_MARGIN_MS);
  }

  /** A name of its own for a file that is still being written, on the same file system. */
  newIncoming(): string {
    return join(this.#incoming, `${process.pid}-${randomBytes(9).toString("base64url")}`);
  }

  /**
   * The same for a blob that is fetched: what an earlier fetch of it left, in this process or in one that died, is taken
   * over under the new name.
   */
  takePartial(digest: string): string {
    Digest.parse(digest);
    const random = randomBytes(9).toString("base64url");
    const own = join(this.#incoming, `${digest}.${process.pid}-${THIS_PROCESS}${random}`);
    const left = this.#left().find((name) => name.startsWith(`${digest}.`));
    if (left !== undefined) this.#moveIncoming(join(this.#incoming, left), own);
    this.#removeOldest();
    return own;
  }

  /** Leaves what was fetched so far to the next fetch of the same. */
  leavePartial(file: string, digest: string): void {
    const nobodys = `${digest}.${NOBODY}-${randomBytes(9).toString("base64url")}`;
    this.#moveIncoming(file, join(this.#incoming, nobodys));
    this.#removeOldest();
  }

  /** Names of half-received files that no process writes to any more. */
  #left(): string[] {
    return readdirSync(this.#incoming).filter(isLeft);
  }

  /** What nobody came back for must not fill the disk while this process lives. */
  #removeOldest(): void {
    const found = this.#left().map((name) => {
      const path = join(this.#incoming, name);
      return { path, movedAtMs: lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0 };
    });
    found.sort((one, other) => other.movedAtMs - one.movedAtMs);
    for (const [index, { path, movedAtMs }] of found.entries()) {
      if (index < LEFT_MAX && movedAtMs >= Date.now() - ABANDONED_AFTER_MS) continue;
      for (const suffix of ["", NOTES_SUFFIX]) rmSync(path + suffix, { force: true });
    }
  }

  /** With the notes that belong to it; fine where another process was faster. */
  #moveIncoming(from: string, to: string): void {
    for (const suffix of ["", NOTES_SUFFIX]) {
      try {
        renameSync(from + suffix, to + suffix);
      } catch (error) {
        if (errnoOf(error) !== "ENOENT") throw error;
        if (suffix === "") return;
      }
    }
  }

  /** Gives a complete file, whose bytes were just hashed, its name; replaces what was there. */
  settle(file: string, digest: string): void {
    // Copied as root, a file keeps its owner.
    if (lstatSync(file).uid !== process.getuid?.()) chownSync(file, process.getuid!(), process.getgid!());
    chmodSync(file, BLOB_MODE);
    utimesSync(file, new Date(), proofMark());
    this.inFolderOf(digest, (path) => renameSync(file, path));
  }

  /** Calls `act` with the blob's path, making its folder when that is missing. */
  inFolderOf(digest: string, act: (path: string) => void): void {
    const path = this.pathOf(digest);
    try {
      act(path);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      act(path);
    }
  }

  /** Every blob with its size and last use, in no order. */
  async *list(): AsyncGenerator<{ readonly digest: string; readonly size: number; readonly usedAtMs: number }> {
    const slice = new TimeSlice();
    for (const part of readdirSync(this.#blobs)) {
      for (const digest of readdirSync(join(this.#blobs, part))) {
        await slice.breathe();
        if (!Digest.safeParse(digest).success) continue;
        const stats = lstatSync(join(this.#blobs, part, digest), { throwIfNoEntry: false });
        if (stats?.isFile()) yield { digest, size: stats.size, usedAtMs: stats.atimeMs };
      }
    }
  }

  /** Removes what processes that died left half received. */
  async removeAbandoned(): Promise<void> {
    for (const name of readdirSync(this.#incoming)) {
      const path = join(this.#incoming, name);
      const stats = lstatSync(path, { throwIfNoEntry: false });
      if (stats !== undefined && stats.mtimeMs < Date.now() - ABANDONED_AFTER_MS) await rm(path, { force: true });
    }
  }
}

/** Whether it is a half-received file that no process writes to any more. */
function isLeft(name: string): boolean {
  const [, pid, random] = /^[0-9a-f]{64}\.(\d{1,10})-([A-Za-z0-9_-]+)$/.exec(name) ?? [];
  if (pid === undefined) return false;
  if (Number(pid) === process.pid) return !random!.startsWith(THIS_PROCESS);
  return Number(pid) === NOBODY || !isAlive(Number(pid));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) !== "ESRCH";
  }
}
