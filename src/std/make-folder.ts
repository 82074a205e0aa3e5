import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { errnoOf } from "./errno.ts";

/**
 * Makes a folder and those it lies in, private to the user unless `mode` says otherwise; it may be there already. Node's own `recursive` never
 * returns below a file system that has no folders to be made, such as /proc.
 */
export function makeFolder(path: string, mode = 0o700): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    const code = errnoOf(error);
    // A file in its place shows at the first use, with the name of what could not be made in it.
    if (code === "EEXIST") return;
    if (code !== "ENOENT" || dirname(path) === path) throw error;
    makeFolder(dirname(path), mode);
    mkdirSync(path, { mode });
  }
}
