/**
 * What a value is, for messages.
 *
 * @param {unknown} value
 */
export function nameOf(value) {
  if (value === null || value === undefined) return String(value);
  if (typeof value !== "object") return `a ${typeof value}`;
  return Array.isArray(value) ? "a list" : `an object (${value.constructor?.name ?? "Object"})`;
}
