import { readFile, writeFile } from "node:fs/promises";
import { StepError } from "../step-error.js";
import { readCsv, writeCsv } from "./csv.js";
import { readJson, writeJson } from "./json.js";
import { readNpy, writeNpy } from "./npy.js";
import { readParquet, writeParquet } from "./parquet.js";
import { place } from "./place.js";
import { registeredNames, registeredType } from "./registry.js";
import { expectBytes, expectText, joinLines, readText, splitLines } from "./text.js";

/**
 * How values of a type are read from a path and written to it. `save` may return what it knows of the value.
 *
 * @typedef {object} Kind
 * @property {((path: string) => unknown) | undefined} [load]
 * @property {((path: string, value: any) => unknown) | undefined} [save]
 * @property {((value: any) => unknown) | undefined} [describe]
 * @property {string | undefined} [format]
 * @property {string | undefined} [contentType]
 */

/** @type {Readonly<Record<string, Kind>>} */
const KINDS = {
  file: { load: (path) => path, save: place },
  folder: { load: (path) => path, save: place },
  json: {
    load: async (path) => readJson(await readText(path)),
    save: (path, value) => writeFile(path, writeJson(value)),
    ...{ format: "json", contentType: "application/json" },
  },
  text: { load: readText, save: (path, value) => writeFile(path, expectText(value)) },
  lines: {
    load: async (path) => splitLines(await readText(path)),
    save: (path, value) => writeWhole(path, joinLines(value)),
    format: "lines",
  },
  bytes: { load: (path) => readFile(path), save: (path, value) => writeFile(path, expectBytes(value)) },
  csv: {
    load: async (path) => readCsv(await readText(path)),
    save: (path, value) => writeWhole(path, writeCsv(value)),
    ...{ format: "csv", contentType: "text/csv" },
  },
  npy: {
    load: async (path) => readNpy(await readFile(path)),
    save: (path, value) => writeWhole(path, writeNpy(value)),
    ...{ format: "npy", contentType: "application/x-npy" },
  },
  parquet: { load: readParquet, save: writeParquet, format: "parquet", contentType: "application/vnd.apache.parquet" },
};

/** @type {Readonly<Record<string, string>>} */
const REFUSED = {
  pickle:
    "only Python reads and writes pickle: use json, csv, npy or parquet between languages, or type: file for the path",
  npz: "the SDK for TypeScript does not know npz: use npy, one file for each array, or type: file for the path",
};

/**
 * @param {string} type
 * @returns {Kind}
 */
export function kindOf(type) {
  const kind = KINDS[type] ?? registeredType(type);
  if (kind !== undefined) return kind;
  if (REFUSED[type] !== undefined) throw new StepError(REFUSED[type]);
  if (type.startsWith("x-")) {
    const names = registeredNames();
    const known = names.length === 0 ? "" : `; registered are ${names.sort().join(", ")}`;
    throw new StepError(
      `the type ${type} is not registered${known}: call registerType("${type}", { load, save }) ` +
        "in the module of the function, or in one that it imports",
    );
  }
  throw new StepError(
    `there is no type '${type}'; choose one of ${Object.keys(KINDS).join(", ")}, or one of your own, such as x-name`,
  );
}

/**
 * @param {string} path
 * @param {{ readonly text: string | Uint8Array, readonly schema: object }} content
 */
async function writeWhole(path, { text, schema }) {
  await writeFile(path, text);
  return schema;
}
