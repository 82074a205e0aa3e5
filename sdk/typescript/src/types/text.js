import { readFile } from "node:fs/promises";
import { nameOf } from "./name-of.js";

/**
 * As it is: no line ends are changed, and what is no UTF-8 is refused.
 *
 * @param {string} path
 */
export async function readText(path) {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(await readFile(path));
}

/** @param {unknown} value */
export function expectText(value) {
  if (typeof value !== "string") throw new TypeError(`expected a text, got ${nameOf(value)}`);
  if (!value.isWellFormed()) throw new TypeError("it holds half of a surrogate pair, which UTF-8 cannot");
  return value;
}

/**
 * Only '\n' ends a line; the last one needs none.
 *
 * @param {string} text
 */
export function splitLines(text) {
  const lines = text.split("\n");
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
}

/** @param {unknown} value */
export function joinLines(value) {
  if (typeof value !== "object" || value === null || !(Symbol.iterator in value)) {
    throw new TypeError(`expected a list of lines, got ${nameOf(value)}`);
  }
  let text = "";
  let count = 0;
  for (const line of /** @type {Iterable<unknown>} */ (value)) {
    count++;
    if (typeof line !== "string") throw new TypeError(`line ${count} is no text but ${nameOf(line)}`);
    if (line.includes("\n")) throw new TypeError(`line ${count} holds a line break`);
    text += `${expectText(line)}\n`;
  }
  return { text, schema: { lines: count } };
}

/** @param {unknown} value */
export function expectBytes(value) {
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  throw new TypeError(`expected bytes (Buffer, Uint8Array), got ${nameOf(value)}`);
}
