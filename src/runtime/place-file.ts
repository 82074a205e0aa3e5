import { chmodSync, constants, copyFileSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { linkOrCopy } from "../std/link-or-copy.ts";

/** Bits of a blob in the cache, and of an input: anyone may read, nobody writes. */
export const BLOB_MODE = 0o444;
const EXECUTABLE_BLOB_MODE = 0o555;
/** Up to this, copying takes half as long as the way to the thread pool and back. */
const QUICK_BYTES = 64 * 1024;

/**
 * Puts a blob of the cache at `target`, which must not exist yet. `share` allows a hard link, which costs nothing at
 * any size but shares the inode: whoever can write to the one writes to the other. Without it the bytes are cloned
 * where the file system can (FICLONE), and copied inside the kernel where it cannot.
 *
 * An executable never shares: mode bits belong to the inode, and the blob's have no `x`.
 */
export async function placeFile(
  blob: string,
  target: string,
  options: { readonly share: boolean; readonly executable: boolean; readonly size: number },
): Promise<void> {
  if (options.share && !options.executable) {
    if ((await linkOrCopy(blob, target)) === "linked") return;
  } else if (options.size <= QUICK_BYTES) {
    copyFileSync(blob, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  } else {
    await copyFile(blob, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  }
  chmodSync(target, options.executable ? EXECUTABLE_BLOB_MODE : BLOB_MODE);
}
