import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { errnoOf } from "./errno.ts";

/**
 * Opens, for reading, a file that untrusted code may have put there: a link is not followed, and a FIFO does not hold up
 * the caller. "absent" when nothing is there, "refused" when it is anything but a plain file that can be read.
 */
export function openPlainFile(path: string): number | "absent" | "refused" {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const code = errnoOf(error);
    if (code === "ENOENT" || code === "ENOTDIR") return "absent";
    if (code !== undefined && REFUSED.has(code)) return "refused";
    throw error;
  }
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  return "refused";
}

/** A symbolic link; a socket; no permission. */
const REFUSED = new Set(["ELOOP", "ENXIO", "EACCES", "EPERM"]);
