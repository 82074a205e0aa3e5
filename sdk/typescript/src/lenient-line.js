/**
 * One line of JSON, whatever is in it: where something is told or logged, it is better shown as a text than not at all.
 *
 * @param {unknown} content
 * @returns {string}
 */
export function lenientLine(content) {
  return JSON.stringify(lenient(content, []));
}

/**
 * @param {unknown} value
 * @param {readonly object[]} above to find rings
 * @returns {unknown}
 */
function lenient(value, above) {
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (typeof value === "symbol" || typeof value === "function") return String(value);
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Error) return value.message === "" ? value.name : `${value.name}: ${value.message}`;
  if (above.includes(value)) return "[ring]";
  const inside = [...above, value];
  try {
    if ("toJSON" in value && typeof value.toJSON === "function") return lenient(value.toJSON(), inside);
    if (ArrayBuffer.isView(value) && !(value instanceof DataView))
      return Array.from(/** @type {any} */ (value), (item) => lenient(item, inside));
    if (Array.isArray(value) || value instanceof Set) return Array.from(value, (item) => lenient(item, inside));
    const entries = value instanceof Map ? [...value] : Object.entries(value);
    return Object.fromEntries(entries.map(([key, item]) => [String(key), lenient(item, inside)]));
  } catch {
    return String(value);
  }
}
