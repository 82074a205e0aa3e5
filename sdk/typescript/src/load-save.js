import { mkdir, stat } from "node:fs/promises";
import { dirname, extname } from "node:path";
import { describeWritten } from "./messages.js";
import { StepError } from "./step-error.js";
import { kindOf } from "./types/kind-of.js";

// Reading and writing of artifacts by their types: for steps, and for any program (`load`, `save`).

/** @typedef {import("./invocation.js").Artifact} Artifact */

/** @type {Readonly<Record<string, string>>} */
const BY_ENDING = {
  ".json": "json",
  ".csv": "csv",
  ".txt": "text",
  ".parquet": "parquet",
  ".npy": "npy",
  ".npz": "npz",
};

/**
 * Reads a file or folder. Without a type, it is told by the ending.
 *
 * @param {string} path
 * @param {string} [type]
 * @returns {Promise<any>}
 */
export async function load(path, type) {
  const kind = type ?? (await typeOfPath(path));
  return loadArtifact({ name: path, type: kind, path });
}

/**
 * Writes a file or folder. Without a type, it is told by the ending.
 *
 * @param {string} path
 * @param {unknown} value
 * @param {string} [type]
 */
export async function save(path, value, type) {
  const kind = type ?? (await typeOfPath(path));
  await write(kind, path, value, `${path} cannot be written as ${kind}`);
}

/**
 * The value of an artifact that is there.
 *
 * @param {Artifact} artifact
 */
export async function loadArtifact({ name, type, path }) {
  const { load: read } = kindOf(type);
  const problem = `the input '${name}' cannot be read as ${type}`;
  if (read === undefined) throw new StepError(`${problem}: the type is registered without load`);
  try {
    return await read(path);
  } catch (error) {
    throw explained(problem, type, error);
  }
}

/**
 * Writes an output, and says what it is.
 *
 * @param {Artifact} artifact
 * @param {unknown} value
 * @param {string} target
 */
export async function saveArtifact({ name, type, path }, value, target) {
  if ((value === undefined || value === null) && type !== "json") {
    throw new StepError(`${target} returned nothing for the output '${name}', which is of type ${type}`);
  }
  await mkdir(dirname(path), { recursive: true });
  const schema = await write(type, path, value, `the output '${name}' of ${target} cannot be written as ${type}`);
  const { format, contentType } = kindOf(type);
  if (format !== undefined) describeWritten(name, { format, contentType, schema });
}

/**
 * @param {string} type
 * @param {string} path
 * @param {unknown} value
 * @param {string} problem
 */
async function write(type, path, value, problem) {
  const { save: toPath, describe } = kindOf(type);
  if (toPath === undefined) throw new StepError(`${problem}: the type is registered without save`);
  try {
    const schema = await toPath(path, value);
    if (describe !== undefined) return await describe(value);
    return isPlain(schema) ? schema : undefined;
  } catch (error) {
    throw explained(problem, type, error);
  }
}

/**
 * What the content of a file is to blame for becomes a sentence; what the step's own code throws keeps its stack.
 *
 * @param {string} problem
 * @param {string} type
 * @param {unknown} error
 */
function explained(problem, type, error) {
  if (type.startsWith("x-") && !(error instanceof StepError)) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new StepError(`${problem}: ${message}`, { cause: error });
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
function isPlain(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * `scores.json` is JSON, a folder a folder, and what has no well-known ending a file.
 *
 * @param {string} path
 */
async function typeOfPath(path) {
  if (path.endsWith("/") || (await stat(path).catch(() => null))?.isDirectory()) return "folder";
  return BY_ENDING[extname(path).toLowerCase()] ?? "file";
}
