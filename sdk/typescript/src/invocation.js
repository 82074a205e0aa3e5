import { StepError } from "./step-error.js";

/**
 * An input or output: its name, how it is read or written, and where it lies.
 *
 * @typedef {object} Artifact
 * @property {string} name
 * @property {string} type
 * @property {string} path
 * @property {boolean} [optional]
 */

/**
 * What is to be called, as Berth hands it over. `values` are parameters, matrix values, and the place in the batch.
 *
 * @typedef {object} Invocation
 * @property {string} module
 * @property {string} function
 * @property {readonly Artifact[]} inputs
 * @property {readonly Artifact[]} outputs
 * @property {Readonly<Record<string, unknown>>} values
 */

/** @returns {Invocation} */
export function readInvocation() {
  const text = process.env.BERTH_INVOCATION;
  if (text === undefined)
    throw new StepError("BERTH_INVOCATION is not set: this program is started by Berth, not by hand");
  return JSON.parse(text);
}

/** @param {Invocation} invocation */
export function targetOf(invocation) {
  return `${invocation.module}:${invocation.function}`;
}
