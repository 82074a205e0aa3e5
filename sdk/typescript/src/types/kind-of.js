import { readFile, writeFile } from "node:fs/promises";
import { StepError } from "../step-error.js";
import { readCsv, writeCsv } from "./csv.js";
import { writeJson } from "./json.js";
import { readNpy, writeNpy } from "./npy.js";
import { readParquet, writeParquet } from "./parquet.js";
import { place } from "./place.js";
import { registeredNames, registeredType } from "./registry.js";

/** @typedef {import("./registry.js").ArtifactKind} ArtifactKind */

/** @type {Readonly<Record<string, ArtifactKind>>} */
const KINDS = {
  file: { read: (path) => path, write: place },
  folder: { read: (path) => path, write: place },
  json: {
    read: async (path) => JSON.parse(await readText(path)),
    write: (path, value) => writeFile(path, writeJson(value)),
  },
  text: { read: readText, write: (path, value) => writeFile(path, expectText(value)) },
  lines: {
    read: async (path) => splitLines(await readText(path)),
    write: (path, value) => writeFile(path, joinLines(value)),
  },
  bytes: { read: (path) => readFile(path), write: (path, value) => writeFile(path, expectBytes(value)) },
  csv: {
    read: async (path) => readCsv(await readText(path)),
    write: (path, value) => writeFile(path, writeCsv(value)),
  },
  npy: {
    read: async (path) => readNpy(await readFile(path)),
    write: (path, value) => writeFile(path, writeNpy(value)),
  },
  parquet: { read: readParquet, write: writeParquet },
};

/** @type {Readonly<Record<string, string>>} */
const REFUSED = {
  pickle:
    "only Python reads and writes pickle: use json, csv, npy or parquet between languages, or type: file for the path",
  npz: "this SDK does not read or write npz: use npy, one file for each array, or type: file for the path",
};

/**
 * @param {string} type
 * @returns {ArtifactKind}
 */
export function kindOf(type) {
  const kind = KINDS[type] ?? registeredType(type);
  if (kind !== undefined) return kind;
  if (REFUSED[type] !== undefined) throw new StepError(REFUSED[type]);
  const known = registeredNames();
  throw new StepError(
    `the type ${type} is not registered: call registerType("${type}", { read, write }) where the step's module is loaded` +
      (known.length === 0 ? "" : `; registered are ${known.join(", ")}`),
  );
}

/** @param {string} path */
async function readText(path) {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(await readFile(path));
}

/**
 * Only '\n' ends a line; the last one needs none.
 *
 * @param {string} text
 */
function splitLines(text) {
  if (text === "") return [];
  return (text.endsWith("\n") ? text.slice(0, -1) : text).split("\n");
}

/** @param {unknown} value */
function joinLines(value) {
  if (typeof value === "string" || !isIterable(value))
    throw new TypeError(`expected a list of strings, got ${nameOf(value)}`);
  let text = "";
  for (const line of value) {
    if (typeof line !== "string") throw new TypeError(`expected a list of strings, found ${nameOf(line)} in it`);
    if (line.includes("\n")) throw new TypeError("a line holds a line break");
    text += `${line}\n`;
  }
  return text;
}

/** @param {unknown} value */
function expectText(value) {
  if (typeof value !== "string") throw new TypeError(`expected a string, got ${nameOf(value)}`);
  if (!value.isWellFormed()) throw new TypeError("the string holds half of a surrogate pair, which UTF-8 cannot");
  return value;
}

/** @param {unknown} value */
function expectBytes(value) {
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  throw new TypeError(`expected bytes (Uint8Array, Buffer), got ${nameOf(value)}`);
}

/**
 * @param {unknown} value
 * @returns {value is Iterable<unknown>}
 */
function isIterable(value) {
  return typeof value === "object" && value !== null && Symbol.iterator in value;
}

/**
 * What a value is, for messages.
 *
 * @param {unknown} value
 */
export function nameOf(value) {
  if (value === null || value === undefined) return String(value);
  if (typeof value !== "object") return `a ${typeof value}`;
  return Array.isArray(value) ? "an array" : `an object (${value.constructor?.name ?? "Object"})`;
}
