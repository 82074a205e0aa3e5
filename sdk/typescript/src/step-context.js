import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { load } from "./load-save.js";
import { readJson } from "./types/json.js";

// Where a step is, and what it works on: what Berth says in variables.

/** Of which run and step this process is an attempt; null outside of Berth. */
export function context() {
  const { env } = process;
  if (env.BERTH_STEP_RUN === undefined) return null;
  return {
    pipeline: env.BERTH_PIPELINE ?? "",
    runId: env.BERTH_RUN_ID ?? "",
    runNumber: Number(env.BERTH_RUN_NUMBER ?? 0),
    step: env.BERTH_STEP ?? "",
    stepRun: env.BERTH_STEP_RUN,
    attempt: Number(env.BERTH_ATTEMPT ?? 1),
  };
}

/**
 * All parameters of the run by name; empty outside of Berth.
 *
 * @returns {Record<string, string | number | boolean>}
 */
export function params() {
  return /** @type {Record<string, string | number | boolean>} */ (readJson(process.env.BERTH_PARAMS || "{}"));
}

/** @type {string | undefined} */
let ownKey;

/**
 * The same for every attempt of a step run, and for no other: hand it to services that the step writes to. Outside of
 * Berth it is one of this process.
 */
export function idempotencyKey() {
  if (process.env.BERTH_IDEMPOTENCY_KEY) return process.env.BERTH_IDEMPOTENCY_KEY;
  ownKey ??= randomBytes(32).toString("hex");
  return ownKey;
}

/**
 * The value of a secret that this step names in its `secrets:`, as text, just as it was set.
 *
 * @param {string} name
 */
export function secret(name) {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(secretBytes(name));
}

/**
 * The same as the bytes that it is. A secret that the step takes as a variable is in that alone.
 *
 * @param {string} name
 * @returns {Buffer}
 */
export function secretBytes(name) {
  const folder = process.env.BERTH_SECRETS;
  if (folder !== undefined && name === basename(name)) {
    try {
      return readFileSync(join(folder, name));
    } catch (error) {
      const { code } = /** @type {NodeJS.ErrnoException} */ (error);
      if (code !== "ENOENT" && code !== "EISDIR") throw error;
    }
  }
  const where =
    context() === null
      ? "outside of Berth, set BERTH_SECRETS to a folder with it"
      : "this step takes no file of that name";
  throw new RangeError(`there is no secret '${name}': ${where}`);
}

/**
 * The path of an input: the file or the folder itself. Nothing is there if an optional output was left out.
 *
 * @param {string} name
 */
export function inputPath(name) {
  return pathOf("INPUT", name);
}

/**
 * The path at which an output is to be written; the folder that it lies in is there.
 *
 * @param {string} name
 */
export function outputPath(name) {
  const path = pathOf("OUTPUT", name);
  mkdirSync(dirname(path), { recursive: true });
  return path;
}

/**
 * @param {"INPUT" | "OUTPUT"} kind
 * @param {string} name
 */
function pathOf(kind, name) {
  const variable = `BERTH_${kind}_${name.toUpperCase().replaceAll("-", "_")}`;
  const path = process.env[variable];
  if (path !== undefined) return path;
  const where = context() === null ? `outside of Berth, set ${variable}` : "this step declares none of that name";
  throw new RangeError(`there is no ${kind.toLowerCase()} '${name}': ${where}`);
}

/**
 * The part of a batch that this step run works on; null outside of one.
 *
 * @returns {import("../types/index.d.ts").Batch | null}
 */
export function batch() {
  const { BERTH_BATCH_INDEX: index, BERTH_BATCH_COUNT: count } = process.env;
  if (index === undefined || count === undefined) return null;
  const path = inputPath("batch");
  const known = batchType();
  return {
    index: Number(index),
    count: Number(count),
    path,
    type: known,
    async items(type = known ?? undefined) {
      if (type === undefined) throw new TypeError("name the type of the batch's items: csv, json, lines or folder");
      return /** @type {any[]} */ (type === "folder" ? filesIn(path) : await load(path, type));
    },
  };
}

/** @returns {string | null} */
function batchType() {
  const text = process.env.BERTH_INVOCATION;
  if (text === undefined) return null;
  const { inputs } = /** @type {import("./invocation.js").Invocation} */ (JSON.parse(text));
  return inputs.find(({ name }) => name === "batch")?.type ?? null;
}

/** @param {string} folder */
function filesIn(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
