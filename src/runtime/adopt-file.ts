import {
  chmodSync,
  chownSync,
  constants,
  linkSync,
  lstatSync,
  renameSync,
  rmSync,
  type Stats,
  utimesSync,
} from "node:fs";
import { copyFile, rm } from "node:fs/promises";
import { errnoOf } from "../std/errno.ts";
import { hashFile } from "../std/hash-file.ts";
import type { BlobFolder } from "./blob-folder.ts";
import { BLOB_MODE } from "./place-file.ts";

/**
 * Makes a file that was just hashed the blob of its digest, in constant time where that is safe. The file itself stays
 * where it is, so that an attempt whose outputs were collected can be collected again after a crash.
 */
export async function adoptFile(folder: BlobFolder, file: string, digest: string, size: number): Promise<void> {
  const stats = lstatSync(file);
  if (!stats.isFile() || stats.size !== size) {
    throw new Error(`${file} changed while it was being collected: expected a file of ${size} bytes`);
  }
  if (!isOursAlone(stats) || !linkInto(folder, file, digest, stats)) await copyInto(folder, file, digest, size);
}

/**
 * Whether nobody but us can still reach the inode, so that it may become the blob: no other name of it exists, it
 * belongs to this user or can be made to, and losing its mode bits loses nothing.
 */
function isOursAlone(stats: Stats): boolean {
  const uid = process.getuid?.();
  return stats.nlink === 1 && (stats.mode & 0o111) === 0 && (uid === 0 || uid === stats.uid);
}

function linkInto(folder: BlobFolder, file: string, digest: string, stats: Stats): boolean {
  makeOurs(file, stats);
  chmodSync(file, BLOB_MODE);
  const now = new Date();
  utimesSync(file, now, now);
  try {
    folder.inFolderOf(digest, (path) => linkSync(file, path));
    return true;
  } catch (error) {
    const code = errnoOf(error);
    if (code === "EEXIST") return replaceBy(folder, file, digest);
    if (code === "EXDEV" || code === "EPERM" || code === "ENOTSUP") return false;
    throw error;
  }
}

function makeOurs(file: string, stats: Stats): void {
  if (stats.uid !== process.getuid?.()) chownSync(file, process.getuid!(), process.getgid!());
}

/** What has the name already is the same blob brought by somebody else, or damaged: either way ours is as good. */
function replaceBy(folder: BlobFolder, file: string, digest: string): true {
  const link = folder.newIncoming();
  linkSync(file, link);
  folder.inFolderOf(digest, (path) => renameSync(link, path));
  // Between two names of one inode a rename does nothing and leaves both.
  rmSync(link, { force: true });
  return true;
}

/** Another name of the file may still be written to, so what counts are the bytes of the copy. */
async function copyInto(folder: BlobFolder, file: string, digest: string, size: number): Promise<void> {
  const copy = folder.newIncoming();
  try {
    await copyFile(file, copy, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    // Copied as root, a file keeps its owner.
    makeOurs(copy, lstatSync(copy));
    const found = await hashFile(copy, size);
    if (found.digest !== digest) throw new Error(`${file} changed while it was being collected`);
    folder.settle(copy, digest);
  } finally {
    await rm(copy, { force: true });
  }
}
