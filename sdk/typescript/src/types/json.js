import { randomBytes } from "node:crypto";

// JSON that every reader takes. Integers beyond 2⁵³, which JSON.parse rounds, are kept as BigInt, both ways; they pass by
// JSON.parse and JSON.stringify inside of texts with a mark that nobody could have written.

const MARK = `\u0001${randomBytes(8).toString("hex")}:`;
const DIGITS = /\d{16}/;
/** Where a text begins, or a number. */
const TOKEN = /"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const MARKED = new RegExp(`"\\\\u0001${MARK.slice(1)}(-?\\d+)"`, "g");

/**
 * @param {string} text
 * @returns {unknown}
 */
export function readJson(text) {
  if (!DIGITS.test(text)) return JSON.parse(text);
  const marked = withMarks(text);
  return JSON.parse(marked, (_, value) => (isMarked(value) ? BigInt(value.slice(MARK.length)) : value));
}

/**
 * Texts are passed by without a regular expression: one of many megabytes would take the stack of that.
 *
 * @param {string} text
 */
function withMarks(text) {
  const pieces = [];
  let copied = 0;
  TOKEN.lastIndex = 0;
  for (let found = TOKEN.exec(text); found !== null; found = TOKEN.exec(text)) {
    const [token] = found;
    if (token === '"') TOKEN.lastIndex = endOfText(text, found.index);
    // Numbers with zeros before them are no JSON; they are left for JSON.parse to refuse.
    else if (/^-?[1-9]\d{15,}$/.test(token) && !Number.isSafeInteger(Number(token))) {
      pieces.push(text.slice(copied, found.index), JSON.stringify(MARK + token));
      copied = TOKEN.lastIndex;
    }
  }
  return pieces.join("") + text.slice(copied);
}

/**
 * Behind the quote that ends the text which begins at `start`.
 *
 * @param {string} text
 * @param {number} start
 */
function endOfText(text, start) {
  for (let quote = text.indexOf('"', start + 1); quote >= 0; quote = text.indexOf('"', quote + 1)) {
    let slashes = 0;
    while (text[quote - 1 - slashes] === "\\") slashes += 1;
    if (slashes % 2 === 0) return quote + 1;
  }
  return text.length;
}

/**
 * @param {unknown} value
 * @returns {value is string}
 */
function isMarked(value) {
  return typeof value === "string" && value.startsWith(MARK);
}

/**
 * Compact. NaN, infinities and functions are refused with their place, where JSON.stringify would write null or leave
 * them out. Maps become objects, sets and typed arrays lists; nothing at all is null.
 *
 * @param {unknown} value
 */
export function writeJson(value) {
  return JSON.stringify(value === undefined ? null : toJson(value, "", [])).replace(MARKED, "$1");
}

/**
 * @param {unknown} value
 * @param {string} path
 * @param {readonly object[]} above to find rings
 * @returns {unknown}
 */
function toJson(value, path, above) {
  const at = path === "" ? "the value" : path;
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new TypeError(`${at} is ${value}, which is not JSON`);
    return value;
  }
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : MARK + value;
  if (value === undefined) throw new TypeError(`${at} is undefined, which is not JSON: write null`);
  if (typeof value !== "object") throw new TypeError(`${at} is a ${typeof value}, which is not JSON`);
  if (above.includes(value)) throw new TypeError(`${at} holds itself, which is not JSON`);
  const inside = [...above, value];
  if ("toJSON" in value && typeof value.toJSON === "function" && !Buffer.isBuffer(value)) {
    return toJson(value.toJSON(), path, inside);
  }
  if (Array.isArray(value) || value instanceof Set || (ArrayBuffer.isView(value) && !(value instanceof DataView))) {
    const items = /** @type {Iterable<unknown>} */ (/** @type {unknown} */ (value));
    return Array.from(items, (item, index) => toJson(item, `${path}[${index}]`, inside));
  }
  if (!(value instanceof Map)) checkPlain(value, at);
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return Object.fromEntries(
    entries
      // As everywhere in JavaScript, a key whose value is undefined is a key that is not there.
      .filter(([, item]) => item !== undefined)
      .map(([key, item]) => [String(key), toJson(item, path === "" ? String(key) : `${path}.${key}`, inside)]),
  );
}

/**
 * An object with private parts, such as a client or a promise, would be written as something else than it is.
 *
 * @param {object} value
 * @param {string} at
 */
function checkPlain(value, at) {
  for (const kind of [Promise, RegExp, WeakMap, WeakSet, WeakRef, Error, ArrayBuffer, DataView]) {
    if (value instanceof kind) {
      throw new TypeError(
        `${at} is a value of type ${kind.name}, which is not JSON: return what JSON holds, or register a type of your own`,
      );
    }
  }
}
