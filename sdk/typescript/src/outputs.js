import { existsSync } from "node:fs";
import { keysOf } from "./arguments.js";
import { targetOf } from "./invocation.js";
import { saveArtifact } from "./load-save.js";
import { StepError } from "./step-error.js";

/** @typedef {import("./invocation.js").Artifact} Artifact */

/**
 * Writes what the function returned: one value, an array in the declared order, or an object by name.
 *
 * @param {import("./invocation.js").Invocation} invocation
 * @param {unknown} returned
 */
export async function writeOutputs(invocation, returned) {
  const target = targetOf(invocation);
  for (const [artifact, value] of valuesByOutput(invocation.outputs, returned, target)) {
    if ((value === undefined || value === null) && mayLack(artifact)) continue;
    await saveArtifact(artifact, value, target);
  }
}

/**
 * @param {readonly Artifact[]} outputs
 * @param {unknown} returned
 * @param {string} target
 * @returns {(readonly [Artifact, unknown])[]}
 */
function valuesByOutput(outputs, returned, target) {
  const [first] = outputs;
  if (first === undefined) {
    if (returned !== undefined && returned !== null) {
      throw new StepError(`${target} returned a value, but the step declares no outputs`);
    }
    return [];
  }
  if (outputs.length === 1) return [[first, returned]];
  if (Array.isArray(returned) && returned.length === outputs.length) {
    return outputs.map((artifact, index) => [artifact, returned[index]]);
  }
  if (isPlainObject(returned)) return valuesByName(outputs, returned, target);
  if ((returned === undefined || returned === null) && outputs.every(mayLack)) return [];
  const found = Array.isArray(returned)
    ? `an array of ${returned.length}`
    : returned === null
      ? "null"
      : typeof returned;
  throw new StepError(
    `${target} returned ${found}, but the step has ${outputs.length} outputs: ` +
      `return an object with these keys, or an array in this order: ${listed(outputs)}`,
  );
}

/**
 * @param {readonly Artifact[]} outputs
 * @param {Readonly<Record<string, unknown>>} returned
 * @param {string} target
 * @returns {(readonly [Artifact, unknown])[]}
 */
function valuesByName(outputs, returned, target) {
  const keys = new Map(outputs.flatMap(({ name }) => keysOf(name).map((key) => [key, name])));
  const unknown = Object.keys(returned).filter((key) => !keys.has(key));
  if (unknown.length > 0) {
    throw new StepError(`${target} returned ${unknown.join(", ")}, but the step's outputs are ${listed(outputs)}`);
  }
  const values = new Map(Object.entries(returned).map(([key, value]) => [keys.get(key), value]));
  const missing = outputs.filter((artifact) => values.get(artifact.name) === undefined && !mayLack(artifact));
  if (missing.length > 0) {
    throw new StepError(`${target} returned no ${listed(missing)}; the step's outputs are ${listed(outputs)}`);
  }
  return outputs.map((artifact) => [artifact, values.get(artifact.name)]);
}

/**
 * Files and folders may have been written to their place by the function itself.
 *
 * @param {Artifact} artifact
 */
function mayLack({ optional = false, type, path }) {
  return optional || type === "file" || type === "folder" || existsSync(path);
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
function isPlainObject(value) {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/** @param {readonly Artifact[]} artifacts */
function listed(artifacts) {
  return artifacts.map(({ name }) => name).join(", ");
}
