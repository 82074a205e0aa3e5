import { closeSync, constants, fstatSync, openSync, type Stats } from "node:fs";
import { errnoOf } from "../std/errno.ts";
import { type HashedBytes, hashDescriptor } from "../std/hash-file.ts";
import { sealFile } from "./adopt-file.ts";
import type { BlobSource } from "./attempt-work.ts";
import { type OutputBudget, OutputProblem } from "./output-problem.ts";

/** A link is not followed, and a FIFO put there does not hold up the agent. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Hashes a regular file that a step left and hands it to the cache. `seen` is what `lstat` said: the file opened must
 * still be that one, and must not change while it is read.
 */
export async function collectFile(
  path: string,
  seen: Stats,
  options: { readonly cache: BlobSource; readonly budget: OutputBudget },
): Promise<HashedBytes> {
  options.budget.takeBytes(seen.size);
  const fd = openUnlinked(path);
  try {
    if (!isSame(fstatSync(fd), seen)) throw changed(path);
    const isSealed = sealFile(fd);
    const before = fstatSync(fd);
    const hashed = await hashDescriptor(fd, seen.size);
    if (hashed.size !== seen.size || !isSame(fstatSync(fd), before)) throw changed(path);
    await options.cache.adopt(path, hashed.digest, hashed.size, isSealed ? fd : null);
    return hashed;
  } finally {
    closeSync(fd);
  }
}

function openUnlinked(path: string): number {
  try {
    return openSync(path, OPEN_FLAGS);
  } catch (error) {
    if (errnoOf(error) === "EACCES") throw new OutputProblem("permission", `${path} cannot be read by the agent`);
    if (errnoOf(error) === "ELOOP" || errnoOf(error) === "ENOENT") throw changed(path);
    throw error;
  }
}

function isSame(one: Stats, other: Stats): boolean {
  return one.dev === other.dev && one.ino === other.ino && one.size === other.size && one.mtimeMs === other.mtimeMs;
}

/** All of the step's processes are dead by now, so something else is at work in the attempt folder. */
function changed(path: string): OutputProblem {
  return new OutputProblem("output-unsafe", `${path} changed while it was being collected`);
}
