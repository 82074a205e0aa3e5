import { chmodSync, lstatSync, mkdirSync, readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf } from "../std/errno.ts";
import { removeTree } from "../std/remove-tree.ts";

/** Other users of the host have no business here; a backend that runs steps as another user gives them the folders. */
const PRIVATE_MODE = 0o700;
/** `in` when it is complete. The mode is the durable mark that staging is over, and lets any step user read. */
const SEALED_MODE = 0o555;

/**
 * Makes the attempt folder as execution-backend.ts describes it, and says whether it is new. Idempotent; what is there
 * stays.
 */
export function makeAttemptFolder(folder: string): boolean {
  const isNew = makeFolder(folder);
  for (const name of ["in", "out", "tmp", "ctl"]) makeFolder(join(folder, name));
  return isNew;
}

function makeFolder(path: string): boolean {
  try {
    mkdirSync(path, { mode: PRIVATE_MODE });
    return true;
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return false;
    if (errnoOf(error) !== "ENOENT") throw error;
    mkdirSync(path, { mode: PRIVATE_MODE, recursive: true });
    return true;
  }
}

/**
 * Whether the inputs are all there. They are never touched again then: a step may be running on them. The mark is the
 * mode of `in`, because that is out of reach of a step that sees its inputs read-only.
 */
export function isSealed(folder: string): boolean {
  const inputs = lstatSync(join(folder, "in"), { throwIfNoEntry: false });
  return inputs !== undefined && (inputs.mode & 0o777) === SEALED_MODE;
}

/** For how long the inputs have been complete, by the wall clock: to be shown only. 0 where they are not. */
export function sealedForMs(folder: string): number {
  if (!isSealed(folder)) return 0;
  return Math.max(0, Date.now() - lstatSync(join(folder, "in")).ctimeMs);
}

export function seal(folder: string): void {
  chmodSync(join(folder, "in"), SEALED_MODE);
}

/** Empties `in` of what an earlier process left half staged. */
export async function clearInputs(folder: string): Promise<void> {
  const inputs = join(folder, "in");
  for (const name of readdirSync(inputs)) await rm(join(inputs, name), { recursive: true, force: true });
}

/** Removes an attempt folder with everything in it, whatever the step made of it. Not there is fine. */
export async function removeAttemptFolder(folder: string): Promise<void> {
  await removeTree(folder);
}
