/**
 * JSON that every reader takes: NaN, infinities, undefined and functions are refused with their place, where
 * JSON.stringify would write null or leave them out. Maps become objects, sets and typed arrays lists.
 *
 * @param {unknown} value
 */
export function writeJson(value) {
  return JSON.stringify(toJson(value, ""));
}

/**
 * @param {unknown} value
 * @param {string} path
 * @returns {unknown}
 */
function toJson(value, path) {
  const at = path === "" ? "the value" : path;
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new TypeError(`${at} is ${value}, which is no JSON`);
    return value;
  }
  if (typeof value === "bigint") {
    if (!Number.isSafeInteger(Number(value)))
      throw new TypeError(`${at} is ${value}n, which is too large for a number of JSON`);
    return Number(value);
  }
  if (typeof value !== "object")
    throw new TypeError(`${at} is ${value === undefined ? "undefined" : `a ${typeof value}`}, which is no JSON`);
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
    return Array.from(/** @type {ArrayLike<number | bigint>} */ (/** @type {unknown} */ (value)), (item, index) =>
      toJson(item, `${path}[${index}]`),
    );
  }
  if ("toJSON" in value && typeof value.toJSON === "function") return toJson(value.toJSON(), path);
  if (Array.isArray(value) || value instanceof Set) {
    return Array.from(value, (item, index) => toJson(item, `${path}[${index}]`));
  }
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return Object.fromEntries(
    entries
      // As everywhere in JavaScript, a key whose value is undefined is a key that is not there.
      .filter(([, item]) => item !== undefined)
      .map(([key, item]) => [key, toJson(item, path === "" ? String(key) : `${path}.${key}`)]),
  );
}
