import { isUtf8 } from "node:buffer";
import { hash } from "node:crypto";
import { lstatSync, mkdirSync, readFileSync, rmdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { SECRET_LAYOUT, type SpecSecrets } from "../backends/execution-backend.ts";
import { fault } from "../protocol/faults.ts";
import type { StepSecret } from "../protocol/plan.ts";
import { errnoOf } from "../std/errno.ts";
import { AttemptFault } from "./attempt-fault.ts";

/**
 * The secrets of one attempt on its worker, as execution-backend.ts lays them out: in memory, never on a disk. The folders
 * of all attempts are in one that only the agent's user can look into. All of it is a few system calls on memory.
 */

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o400;
/**
 * Beside what the step sees: says that all values are there. It holds them once more, for masking: a step may remove its own,
 * and they are needed until its logs are with the server.
 */
const COMPLETE = "complete";
/** What statfs says of file systems that are nowhere but in memory: tmpfs and ramfs. */
const IN_MEMORY: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);

/** In memory, unless an agent's settings say otherwise. */
export const SECRETS_PLACE = "/dev/shm";

/** The folder for those of all attempts that are made in `home`: agents of one host do not meet. */
export function secretsParent(home: string, place = SECRETS_PLACE): string {
  return join(place, `berth-${hash("sha256", home, "hex").slice(0, 16)}`);
}

/** Why the folder of all attempts is not removed: others have theirs in it, or it is gone already. */
const STAYS: ReadonlySet<string> = new Set(["ENOTEMPTY", "ENOENT"]);

/** Makes the folder, without any value yet. Idempotent; throws an AttemptFault where this worker has no place for it. */
export function makeSecretFolder({ folder, variables }: SpecSecrets): void {
  const parent = dirname(folder);
  try {
    makeFolder(parent);
    checkParent(parent);
    makeFolder(folder);
    makeFolder(join(folder, SECRET_LAYOUT.files));
    if (variables) makeFolder(join(folder, SECRET_LAYOUT.env));
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    throw noPlace(parent, (error as Error).message, error);
  }
}

/** Whether all values are there. They are not when the machine was started again since. */
export function hasSecrets({ folder }: SpecSecrets): boolean {
  return lstatSync(join(folder, COMPLETE), { throwIfNoEntry: false }) !== undefined;
}

/** Fills the folder. Throws an AttemptFault where a value cannot be a variable. */
export function writeSecrets(
  { folder }: SpecSecrets,
  secrets: readonly StepSecret[],
  values: ReadonlyMap<string, Uint8Array>,
): void {
  const variables: Uint8Array[] = [];
  for (const { name, variable } of secrets) {
    const value = values.get(name)!;
    if (variable === null) replaceFile(join(folder, SECRET_LAYOUT.files, name), value);
    else variables.push(Buffer.from(`${variable}=`), checkedVariable(name, value), Buffer.of(0));
  }
  if (variables.length > 0) replaceFile(join(folder, SECRET_LAYOUT.variables), Buffer.concat(variables));
  const all = secrets.map(({ name }) => Buffer.from(values.get(name)!).toString("base64"));
  replaceFile(join(folder, COMPLETE), Buffer.from(JSON.stringify(all)));
}

/** The values, for what an earlier process of the agent began; null where they are not all there. */
export function readSecrets({ folder }: SpecSecrets): Uint8Array[] | null {
  try {
    const all = JSON.parse(readFileSync(join(folder, COMPLETE), "utf8")) as string[];
    return all.map((value) => Buffer.from(value, "base64"));
  } catch (error) {
    // Where nothing isolates it, a step may have changed the file.
    if (errnoOf(error) === "ENOENT" || error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Removes the folder with the values, and that of all attempts with the last of them. Not there is fine. */
export function removeSecretFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  try {
    rmdirSync(dirname(folder));
  } catch (error) {
    if (!STAYS.has(errnoOf(error) ?? "")) throw error;
  }
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { mode: FOLDER_MODE });
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error;
  }
}

/** Where everybody may make folders, somebody else may have made this one. */
function checkParent(parent: string): void {
  const stats = lstatSync(parent);
  if (!stats.isDirectory() || stats.uid !== process.getuid!() || (stats.mode & 0o077) !== 0) {
    throw noPlace(parent, "it is not a folder of the agent's user alone");
  }
  if (!IN_MEMORY.has(statfsSync(parent).type)) throw noPlace(parent, "it is on a disk");
}

/** A value that an earlier process wrote cannot be written over: it may belong to the step's user by now. */
function replaceFile(path: string, bytes: Uint8Array): void {
  rmSync(path, { force: true });
  writeFileSync(path, bytes, { flag: "wx", mode: FILE_MODE });
}

function checkedVariable(name: string, value: Uint8Array): Uint8Array {
  if (isUtf8(value) && !value.includes(0)) return value;
  const message = `The secret ${name} is no text in UTF-8 without zero bytes: it cannot be an environment variable.`;
  throw new AttemptFault(fault("spec-invalid", message, { advice: "Take it as a file: leave out its env." }));
}

function noPlace(parent: string, why: string, cause?: unknown): AttemptFault {
  const message = `Secrets cannot be kept in memory on this worker: ${parent}: ${why}.`;
  const advice = "Set secretsFolder in the agent's settings to a folder on a tmpfs that its user may write to.";
  return new AttemptFault(fault("stage-io", message, { advice }), { cause });
}
