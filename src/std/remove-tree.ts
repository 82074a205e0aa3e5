import { execFile } from "node:child_process";
import { chmodSync, lstatSync, readdirSync, rmdirSync, unlinkSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { errnoOf } from "./errno.ts";

/** Entries removed by synchronous calls before the rest is left to asynchronous ones: about 1 ms of work. */
const QUICK_ENTRIES_MAX = 100;

/**
 * Removes a folder and all below it without following links. Not there is fine. Small trees, which most are, go by a
 * few direct calls; trees that outgrow that, or that were made to be hard to remove, take the slower ways.
 */
export async function removeTree(path: string): Promise<void> {
  if (wasQuick(path)) return;
  // Names that are not UTF-8, or deeper than PATH_MAX, cannot be said from here: they look as if they were not there.
  const failure = await rm(path, { recursive: true, force: true }).catch((error: unknown) => error);
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
  try {
    await promisify(execFile)("rm", ["-rf", "--", path]);
  } catch (error) {
    throw failure ?? error;
  }
}

/** Whether the tree is gone; it is not if anything was in the way, for the slower ways to deal with. */
function wasQuick(path: string): boolean {
  try {
    return removeQuickly(path, { left: QUICK_ENTRIES_MAX });
  } catch {
    return lstatSync(path, { throwIfNoEntry: false }) === undefined;
  }
}

function removeQuickly(folder: string, budget: { left: number }): boolean {
  for (const entry of open(folder)) {
    if (budget.left-- <= 0) return false;
    const path = join(folder, entry.name);
    if (!entry.isDirectory()) unlinkSync(path);
    else if (!wasEmpty(path) && !removeQuickly(path, budget)) return false;
  }
  rmdirSync(folder);
  return true;
}

/** Removes a folder that is empty, as most are, without a look inside. */
function wasEmpty(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOTEMPTY" || errnoOf(error) === "EEXIST") return false;
    throw error;
  }
}

function open(folder: string) {
  try {
    const entries = readdirSync(folder, { withFileTypes: true });
    // A folder that is sealed against writing does not give up its entries, except to root.
    if (entries.length > 0 && process.getuid?.() !== 0) chmodSync(folder, 0o700);
    return entries;
  } catch (error) {
    if (errnoOf(error) !== "EACCES") throw error;
    chmodSync(folder, 0o700);
    return readdirSync(folder, { withFileTypes: true });
  }
}
