import { existsSync } from "node:fs";
import { askedNames } from "./asked-names.js";
import { targetOf } from "./invocation.js";
import { loadArtifact } from "./load-save.js";
import { StepError } from "./step-error.js";

/** @typedef {import("./invocation.js").Invocation} Invocation */

/**
 * The one object that the function gets: inputs, parameters and matrix values by name, and the place in the batch. A name
 * that holds a '-' is there as it is and in camelCase. An input whose producer left out an optional output is undefined,
 * so that a default stands for it. Where the function says what it takes, every declared input has to be among it, and
 * only that is read.
 *
 * @param {Invocation} invocation
 * @param {Function} called
 */
export async function bindArguments(invocation, called) {
  const { inputs, values } = invocation;
  const asked = askedNames(called);
  if (asked !== null) checkAsked(asked, invocation);
  const isAsked = (/** @type {string} */ name) =>
    asked === null || asked.takesRest || asked.names.some((each) => keysOf(name).includes(each.name));
  /** @type {Record<string, unknown>} */
  const given = {};
  for (const [name, value] of Object.entries(values)) add(given, name, value);
  for (const artifact of inputs) {
    if (!isAsked(artifact.name)) continue;
    add(given, artifact.name, existsSync(artifact.path) ? await loadArtifact(artifact) : undefined);
  }
  return given;
}

/**
 * @param {import("./asked-names.js").Asked} asked
 * @param {Invocation} invocation
 */
function checkAsked({ names, takesRest }, invocation) {
  const { inputs, values } = invocation;
  const target = targetOf(invocation);
  const taken = names.map(({ name }) => name);
  const unasked = inputs.filter(({ name }) => name !== "batch" && !keysOf(name).some((key) => taken.includes(key)));
  if (!takesRest && unasked.length > 0) {
    throw new StepError(
      `${target} takes no argument ${listed(unasked.map(({ name }) => name))}, but the step declares ` +
        `${unasked.length > 1 ? "inputs" : "an input"} of that name; it takes ${listed(taken)}`,
    );
  }
  const known = new Set([...inputs.map(({ name }) => name), ...Object.keys(values)].flatMap(keysOf));
  const missing = names.find(({ name, hasDefault }) => !hasDefault && !known.has(name));
  if (missing === undefined) return;
  throw new StepError(
    `${target} wants an argument '${missing.name}', which is no input, parameter or matrix value of the step; ` +
      `inputs: ${listed(inputs.map(({ name }) => name))}; other values: ${listed(Object.keys(values))}; ` +
      `where it may be left out, give it a default: ({ ${missing.name} = undefined })`,
  );
}

/**
 * @param {Record<string, unknown>} given
 * @param {string} name
 * @param {unknown} value
 */
function add(given, name, value) {
  for (const key of keysOf(name)) given[key] = value;
}

/** The values that Berth itself names, which it writes with '_'. */
const OWN = new Map([
  ["batch_index", "batchIndex"],
  ["batch_count", "batchCount"],
]);

/**
 * The names under which code may know an input, output or value.
 *
 * @param {string} name
 */
export function keysOf(name) {
  const camelCase = OWN.get(name) ?? name.replace(/-+(.)/g, (_, char) => char.toUpperCase());
  return camelCase === name ? [name] : [name, camelCase];
}

/** @param {readonly string[]} names */
function listed(names) {
  return names.length === 0 ? "none" : names.map((name) => `'${name}'`).join(", ");
}
