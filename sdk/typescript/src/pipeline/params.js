import { onlyThese, Param } from "./references.js";

/** @typedef {string | number | boolean} Scalar */
/** @typedef {Readonly<Record<string, unknown>>} Options */

/** Parameters with more than a default: `param.integer({ default: 7, description: "…" })`. */
export const param = {
  /** @param {Options} [options] */
  string: (options = {}) => ({ type: "string", ...options }),
  /** @param {Options} [options] */
  integer: (options = {}) => ({ type: "integer", ...options }),
  /** @param {Options} [options] */
  number: (options = {}) => ({ type: "number", ...options }),
  /** @param {Options} [options] */
  boolean: (options = {}) => ({ type: "boolean", ...options }),
};

/**
 * What the code of a pipeline hands over in the place of values that only a run has.
 *
 * @param {Readonly<Record<string, unknown>>} declared
 * @returns {Readonly<Record<string, Param>>}
 */
export function paramReferences(declared) {
  const references = Object.fromEntries(Object.keys(declared).map((name) => [name, new Param(name)]));
  return onlyThese(references, "the pipeline has no parameter");
}
