import { constants, linkSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { errnoOf } from "./errno.ts";

/** Where a hard link cannot be made although nothing is wrong: other file system, too many links, not our file. */
const NO_LINK = new Set(["EXDEV", "EMLINK", "EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"]);

/** Puts a file at a second place, which must be free, in constant time where it can; says which way it went. */
export async function linkOrCopy(from: string, to: string): Promise<"linked" | "copied"> {
  try {
    linkSync(from, to);
    return "linked";
  } catch (error) {
    if (!NO_LINK.has(errnoOf(error) ?? "")) throw error;
    await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    return "copied";
  }
}
