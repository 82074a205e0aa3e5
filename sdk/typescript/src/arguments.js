import { readInput } from "./types/read-input.js";

/**
 * The one object that the function gets: every input, parameter and matrix value by its name, and the place in the
 * batch. A name that holds a '-' is there as it is and in camelCase. An input whose producer left out an optional output
 * is undefined, so that a default of the function stands for it.
 *
 * @param {import("./invocation.js").Invocation} invocation
 */
export async function bindArguments({ inputs, values }) {
  /** @type {Record<string, unknown>} */
  const given = {};
  for (const [name, value] of Object.entries(values)) add(given, name, value);
  for (const artifact of inputs) add(given, artifact.name, await readInput(artifact));
  return given;
}

/**
 * @param {Record<string, unknown>} given
 * @param {string} name
 * @param {unknown} value
 */
function add(given, name, value) {
  given[name] = value;
  const camelCase = camelCaseOf(name);
  if (camelCase !== name) given[camelCase] = value;
}

/** The values that Berth itself names, which it writes with '_'. */
const OWN = new Map([
  ["batch_index", "batchIndex"],
  ["batch_count", "batchCount"],
]);

/** @param {string} name */
export function camelCaseOf(name) {
  return OWN.get(name) ?? name.replace(/-+(.)/g, (_, char) => char.toUpperCase());
}
