import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  futimesSync,
  linkSync,
  lstatSync,
  openSync,
  renameSync,
  rmSync,
  type Stats,
  unlinkSync,
} from "node:fs";
import { copyFile, rm } from "node:fs/promises";
import { errnoOf } from "../std/errno.ts";
import { hashFile } from "../std/hash-file.ts";
import type { BlobFolder } from "./blob-folder.ts";
import { BLOB_MODE } from "./place-file.ts";
import { hasProofMark, proofMark } from "./proof-mark.ts";

/** A file to adopt. */
export interface Adoption {
  readonly file: string;
  readonly digest: string;
  readonly size: number;
  readonly sealed: Sealed;
}

/**
 * A descriptor of the file, which was sealed before it was hashed; null where it could not be sealed, and undefined for a
 * file that only the caller can have written to.
 */
export type Sealed = number | null | undefined;

/**
 * Makes a file that was just hashed the blob of its digest, in constant time where that is safe. The file itself stays
 * where it is, so that an attempt whose outputs were collected can be collected again after a crash.
 */
export async function adoptFile(folder: BlobFolder, adoption: Adoption): Promise<void> {
  const { file, sealed } = adoption;
  if (sealed === null) return await copyInto(folder, adoption);
  if (sealed !== undefined) return await adoptOpened(folder, adoption, sealed);
  const fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    sealFile(fd);
    await adoptOpened(folder, adoption, fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * Makes the file ours and marks it, where it may become a blob, and says so. Done before it is hashed: a process that the
 * step left behind, and that writes to it meanwhile or later, takes the mark off. Everything goes by the descriptor, so
 * that nothing else that is put at the path meanwhile is touched.
 */
export function sealFile(fd: number): boolean {
  const stats = fstatSync(fd);
  if (!isOursAlone(stats)) return false;
  if (stats.uid !== process.getuid?.()) fchownSync(fd, process.getuid!(), process.getgid!());
  fchmodSync(fd, BLOB_MODE);
  futimesSync(fd, new Date(), proofMark());
  return true;
}

/**
 * Whether nobody but us can still reach the inode by a name, so that it may become the blob: no other name of it exists,
 * it belongs to this user or can be made to, and losing its mode bits loses nothing.
 */
function isOursAlone(stats: Stats): boolean {
  const uid = process.getuid?.();
  return stats.isFile() && stats.nlink === 1 && (stats.mode & 0o111) === 0 && (uid === 0 || uid === stats.uid);
}

async function adoptOpened(folder: BlobFolder, adoption: Adoption, fd: number): Promise<void> {
  const stats = fstatSync(fd);
  if (!stats.isFile() || stats.size !== adoption.size) throw changed(adoption);
  const linked = isOursAlone(stats) && hasProofMark(stats) && linkInto(folder, adoption, stats);
  if (!linked) await copyInto(folder, adoption);
}

/** Where a hard link cannot be made although nothing is wrong. */
const NO_LINK = new Set(["EXDEV", "EPERM", "ENOTSUP"]);

function linkInto(folder: BlobFolder, { file, digest, size }: Adoption, stats: Stats): boolean {
  try {
    folder.inFolderOf(digest, (path) => linkChecked(file, path, stats));
    return true;
  } catch (error) {
    const code = errnoOf(error) ?? "";
    if (NO_LINK.has(code)) return false;
    if (code !== "EEXIST") throw error;
  }
  // What has the name already is the same blob brought by somebody else, or damaged: either way ours is as good.
  const link = folder.newIncoming();
  linkChecked(file, link, stats);
  folder.inFolderOf(digest, (path) => renameSync(link, path));
  // Between two names of one inode a rename does nothing and leaves both.
  rmSync(link, { force: true });
  if (folder.find(digest, size) === null) throw changed({ file, size });
  return true;
}

/** Links the file, and makes sure that it was the one that was hashed. */
function linkChecked(file: string, to: string, hashed: Stats): void {
  linkSync(file, to);
  const { dev, ino, mtimeMs } = lstatSync(to);
  if (dev === hashed.dev && ino === hashed.ino && mtimeMs === hashed.mtimeMs) return;
  unlinkSync(to);
  throw changed({ file, size: hashed.size });
}

/** Another name of the file may still be written to, so what counts are the bytes of the copy. */
async function copyInto(folder: BlobFolder, { file, digest, size }: Adoption): Promise<void> {
  const stats = lstatSync(file);
  if (!stats.isFile() || stats.size !== size) throw changed({ file, size });
  const copy = folder.newIncoming();
  try {
    await copyFile(file, copy, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    const found = await hashFile(copy, size);
    if (found.digest !== digest) throw changed({ file, size });
    folder.settle(copy, digest);
  } finally {
    await rm(copy, { force: true });
  }
}

function changed({ file, size }: Pick<Adoption, "file" | "size">): Error {
  return new Error(`${file} changed while it was being collected: expected a file of ${size} bytes`);
}
