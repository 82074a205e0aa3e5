import { existsSync } from "node:fs";
import { StepError } from "../step-error.js";
import { kindOf } from "./kind-of.js";

/**
 * The value of an input, by its declared type; undefined when its producer left out an optional output.
 *
 * @param {import("../invocation.js").Artifact} artifact
 */
export async function readInput({ name, type, path }) {
  if (!existsSync(path)) return undefined;
  const { read } = kindOf(type);
  if (read === undefined)
    throw new StepError(`the input "${name}" cannot be read: the type ${type} is registered without read`);
  try {
    return await read(path);
  } catch (error) {
    if (error instanceof StepError)
      throw new StepError(`the input "${name}" cannot be read as ${type}: ${error.message}`, { cause: error });
    // What the step's own code throws is its own failure, with its stack.
    if (type.startsWith("x-")) throw error;
    throw new StepError(`the input "${name}" cannot be read as ${type}: ${/** @type {Error} */ (error).message}`, {
      cause: error,
    });
  }
}
