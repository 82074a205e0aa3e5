import { readFile } from "node:fs/promises";
import { StepError } from "../step-error.js";

/**
 * Rows as objects.
 *
 * @param {string} path
 */
export async function readParquet(path) {
  const { parquetReadObjects } = await peer("hyparquet", "read");
  // Without it only files that are plain or compressed by snappy can be read.
  const { compressors } = await peer("hyparquet-compressors", "read").catch(() => ({ compressors: undefined }));
  const bytes = await readFile(path);
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  return parquetReadObjects({ file, ...(compressors === undefined ? {} : { compressors }) });
}

/**
 * Columns in the order in which they first appear in any row.
 *
 * @param {string} path
 * @param {unknown} value
 */
export async function writeParquet(path, value) {
  if (!Array.isArray(value) || value.some((row) => typeof row !== "object" || row === null || Array.isArray(row))) {
    throw new TypeError("expected a list of rows, each an object");
  }
  const { parquetWriteFile } = await peer("hyparquet-writer", "write", "hyparquet-writer");
  const rows = /** @type {Record<string, unknown>[]} */ (value);
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const columnData = names.map((name) => ({ name, data: rows.map((row) => row[name] ?? null) }));
  await parquetWriteFile({ filename: path, columnData });
  return { columns: names.map((name) => ({ name })), rows: rows.length };
}

/**
 * A package that the step brings along if it works with such files.
 *
 * @param {string} name
 * @param {"read" | "write"} verb
 * @returns {Promise<any>}
 */
async function peer(name, verb, entry = name) {
  try {
    return await import(entry);
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new StepError(
      `to ${verb} parquet the step needs the package ${name}: add it to the packages of its environment (npm install ${name})`,
    );
  }
}
