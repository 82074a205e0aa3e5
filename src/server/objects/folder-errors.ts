import { BerthError } from "../../protocol/errors.ts";

const ADVICE: Readonly<Record<string, readonly [code: "storage_full" | "store_misconfigured", advice: string]>> = {
  ENOSPC: ["storage_full", "Free space there; the same request works again after that."],
  EDQUOT: ["storage_full", "Free space there or raise the quota; the same request works again after that."],
  EACCES: ["store_misconfigured", "Let the user that the server runs as own the folder and all in it."],
  EPERM: ["store_misconfigured", "Let the user that the server runs as own the folder and all in it."],
  EROFS: ["store_misconfigured", "Mount it for writing."],
  ENOTDIR: ["store_misconfigured", "Set BERTH_OBJECTS to a folder, or move away what lies there."],
  EEXIST: ["store_misconfigured", "Set BERTH_OBJECTS to a folder, or move away what lies there."],
  ENOENT: [
    "store_misconfigured",
    "Check that the disk is mounted; the folders of a store are made when a server starts.",
  ],
};

/** An error of the catalogue for what the file system said: which store, what was attempted, what to do. */
export function folderError(error: unknown, place: string, attempted: string): unknown {
  const { code, syscall, message } = error as NodeJS.ErrnoException;
  if (code === undefined || syscall === undefined) return error;
  const [kind, advice] = ADVICE[code] ?? ["unavailable", "Check the disk; the server's log says more."];
  return new BerthError(kind, `The data store cannot ${attempted}: ${place}: ${message}.`, { advice, cause: error });
}
