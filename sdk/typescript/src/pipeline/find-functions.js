import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** @typedef {Record<string, unknown>} Spec */
/** @typedef {{ readonly url: string, readonly bare: string | undefined }} LoadedModule */

/**
 * Where each function is exported: `steps/train.ts:train`, relative to what will be the step's working folder.
 *
 * @param {readonly LoadedModule[]} modules in the order in which they were loaded
 */
export async function exportsOf(modules) {
  /** @type {Map<unknown, { module: LoadedModule, name: string }>} */
  const found = new Map();
  // What a module exports of others was loaded after it, so the last one is where the function is written.
  for (const module of modules) {
    const exported = /** @type {Record<string, unknown>} */ (await import(module.url));
    // Last of all the default export, so that a name is preferred to it.
    const names = Object.keys(exported).sort((a, b) => Number(b === "default") - Number(a === "default"));
    for (const name of names) if (typeof exported[name] === "function") found.set(exported[name], { module, name });
  }
  return found;
}

/**
 * The function of a step as the pipeline file names it, or what is wrong with it.
 *
 * @param {{ module: LoadedModule, name: string } | undefined} found
 * @param {Function} called
 * @param {string} folder that the source of the environment is relative to
 * @param {string | null} source null: there is none
 * @returns {{ target: string } | { problem: string }}
 */
export function targetOf(found, called, folder, source) {
  const shown = called.name === "" ? "the function" : `"${called.name}"`;
  if (found === undefined) {
    return {
      problem: `${shown} is not exported, so a step could not load it: write export function ${called.name || "name"}`,
    };
  }
  const { module, name } = found;
  if (module.bare !== undefined) return { target: `${module.bare}:${name}` };
  if (source === null) {
    return { problem: `its environment has no source, so ${shown} would not be there: add source: "."` };
  }
  const path = relative(join(folder, source), fileURLToPath(module.url)).replaceAll(sep, "/");
  if (path.startsWith("../")) {
    const place = source === "." ? "the folder of the pipeline" : `the source of its environment, ${source}`;
    return { problem: `${shown} is outside of ${place}: ${relative(folder, fileURLToPath(module.url))}` };
  }
  return { target: `${path}:${name}` };
}

/**
 * The folder in which the steps of an environment work; null for none.
 *
 * @param {Spec} pipeline
 * @param {Spec} step
 * @returns {string | null}
 */
export function sourceOf(pipeline, step) {
  const all = /** @type {Record<string, Spec>} */ (pipeline.environments ?? {});
  const named = step.environment ?? pipeline.environment ?? all.default;
  const environment = /** @type {Spec | undefined} */ (typeof named === "string" ? all[named] : named);
  // Which environments there are, and what they may hold, is checked where the file is.
  if (environment === undefined) return ".";
  // What a Dockerfile puts where is its own matter: most copy their context.
  if (environment.dockerfile !== undefined) return String(environment.context ?? ".");
  return environment.source === undefined ? null : String(environment.source);
}
