import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";

/** Far above what the shim writes; user code can write these files too. */
const CONTROL_FILE_MAX_BYTES = 4096;

/**
 * Opens a file of a control folder for reading, or returns null when it does not exist. User code may write there, and
 * the agent may be root: so no link is followed, and what is not a plain file (a FIFO would hang) counts as absent.
 */
export function openControlFile(path: string): number | null {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (ABSENT.has((error as NodeJS.ErrnoException).code ?? "")) return null;
    throw error;
  }
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  return null;
}

/** Not there, a symbolic link, a socket. */
const ABSENT = new Set(["ENOENT", "ENOTDIR", "ELOOP", "ENXIO"]);

/** The text of a small control file, or null when it does not exist. */
export function readControlFile(path: string): string | null {
  const fd = openControlFile(path);
  if (fd === null) return null;
  try {
    const buffer = Buffer.alloc(CONTROL_FILE_MAX_BYTES);
    return buffer.toString("utf8", 0, readSync(fd, buffer, 0, CONTROL_FILE_MAX_BYTES, 0));
  } finally {
    closeSync(fd);
  }
}
