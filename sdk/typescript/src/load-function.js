import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { targetOf } from "./invocation.js";
import { fromWorkingFolder } from "./resolve.js";
import { StepError } from "./step-error.js";

export const ADVICE_FOR_SYNTAX =
  "Node runs TypeScript by stripping types, so enums, namespaces, parameter properties and decorators need another form " +
  "(see erasableSyntaxOnly of tsconfig.json), or compile it to .js first";

/**
 * The function that the step names. A module is a file below the working folder, or else a package.
 *
 * @param {import("./invocation.js").Invocation} invocation
 * @returns {Promise<(given: object) => unknown>}
 */
export async function loadFunction(invocation) {
  const target = targetOf(invocation);
  const file = join(process.cwd(), invocation.module);
  const isFile = existsSync(file);
  if (isFile && /\.[cm]?ts$/.test(file)) checkTypescript(target);
  const loaded = await load(isFile ? pathToFileURL(file).href : fromWorkingFolder(invocation.module), invocation);
  const found = loaded[invocation.function];
  if (found === undefined) {
    const names = Object.keys(loaded).filter((name) => typeof loaded[name] === "function");
    throw new StepError(
      `the module '${invocation.module}' has no '${invocation.function}'; it exports ${names.length === 0 ? "no function" : names.join(", ")}`,
    );
  }
  if (typeof found !== "function")
    throw new StepError(`${target} is ${found === null ? "null" : `a ${typeof found}`}, which cannot be called`);
  if (found.length > 1) {
    throw new StepError(
      `${target} takes ${found.length} arguments, but a step's function gets one object: function ${invocation.function}({ rows, seed })`,
    );
  }
  return /** @type {(given: object) => unknown} */ (found);
}

/** @param {string} target */
function checkTypescript(target) {
  const { typescript } = /** @type {{ typescript?: string | false }} */ (process.features);
  if (typescript) return;
  throw new StepError(
    `${target} is TypeScript, which Node ${process.version} does not run by itself: ` +
      "use an image with Node 22.18 or later, or compile the step to .js and name that file",
  );
}

/**
 * @param {string} specifier
 * @param {import("./invocation.js").Invocation} invocation
 * @returns {Promise<Record<string, unknown>>}
 */
async function load(specifier, invocation) {
  try {
    return await import(specifier);
  } catch (error) {
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
    if (code === "ERR_MODULE_NOT_FOUND" && isMissing(message, invocation.module)) {
      throw new StepError(
        `there is no module '${invocation.module}' in ${process.cwd()} or among the installed packages ` +
          `(wanted for ${targetOf(invocation)}); is the source part of the step's environment?`,
      );
    }
    if (code === "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX")
      throw new StepError(`${message}: ${ADVICE_FOR_SYNTAX}`, { cause: error });
    if (code === "ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING") {
      throw new StepError(`${message}: a package has to bring .js files`, { cause: error });
    }
    if (code === "ERR_MODULE_NOT_FOUND") {
      const advice =
        "imports name whole files, with their ending (./rows.ts), and packages that are installed in the environment";
      throw new StepError(`${message}: ${advice}`, { cause: error });
    }
    throw error;
  }
}

/**
 * Whether it is the step's own module that is not there, and not one that it imports.
 *
 * @param {string} message
 * @param {string} module
 */
function isMissing(message, module) {
  const missing = /^Cannot find (?:package|module) '([^']+)' imported from (.*)$/.exec(message);
  if (missing === null) return false;
  const [, name = "", from = ""] = missing;
  const isOurs = !from.includes(".") || from.endsWith("/");
  return isOurs && (module === name || module.startsWith(`${name}/`) || name.endsWith(`/node_modules/${module}`));
}
