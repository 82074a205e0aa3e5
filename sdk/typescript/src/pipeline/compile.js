import { writeFileSync } from "node:fs";
import * as module from "node:module";
import { basename, dirname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { ADVICE_FOR_SYNTAX } from "../load-function.js";
import { registerResolution } from "../resolve.js";
import { exportsOf, sourceOf, targetOf } from "./find-functions.js";
import { build, isPipeline } from "./pipeline.js";
import { placeOf } from "./place.js";

/** @typedef {import("./find-functions.js").LoadedModule} LoadedModule */
/** @typedef {import("./pipeline.js").Pipeline} Pipeline */

/** Of this package: what it exports is no step. */
const OWN_FOLDER = new URL("..", import.meta.url).href;

/**
 * Loads a user's file, and writes what its pipeline is, or what is wrong, to the file that BERTH_COMPILE_RESULT names:
 * see src/cli/compile/compile-program.ts of Berth.
 *
 * @param {string} file
 */
export async function compile(file) {
  const path = resolve(file);
  const modules = watchModules(dirname(path));
  write(await describe(path, modules).catch((error) => ({ problems: [problemOf(error, path)] })));
}

/**
 * @param {string} path
 * @param {readonly LoadedModule[]} modules
 */
async function describe(path, modules) {
  const exported = /** @type {Record<string, unknown>} */ (await import(pathToFileURL(path).href));
  const made = build(only(exported, basename(path)), path);
  const functions = await exportsOf(modules);
  const problems = [...made.problems];
  /** @type {Record<string, unknown>} */
  const steps = {};
  for (const [name, spec] of made.steps) {
    const called = made.functions.get(name);
    if (called === undefined) steps[name] = spec;
    else {
      const found = targetOf(functions.get(called), called, dirname(path), sourceOf(made.head, spec));
      if ("problem" in found)
        problems.push({ message: found.problem, path: `steps.${name}`, place: made.places.get(name) });
      else steps[name] = { typescript: found.target, ...spec };
    }
  }
  if (problems.length > 0) return { problems };
  const places = [...made.places]
    .filter(([, place]) => place !== undefined)
    .map(([name, place]) => [`steps.${name}`, place]);
  return { pipeline: { ...made.head, steps }, places: Object.fromEntries(places) };
}

/**
 * @param {Record<string, unknown>} exported
 * @param {string} file
 * @returns {Pipeline}
 */
function only(exported, file) {
  if (isPipeline(exported.default)) return exported.default;
  const found = Object.keys(exported).filter((name) => isPipeline(exported[name]));
  const [first, ...more] = found;
  if (first === undefined) {
    throw new NoPipeline(
      `${file} exports no pipeline: write export default pipeline("name", {…}, ({ params }) => { step(…) })`,
    );
  }
  if (more.length > 0)
    throw new NoPipeline(`${file} exports several pipelines (${found.join(", ")}): make one of them the default`);
  return /** @type {Pipeline} */ (exported[first]);
}

/** Says enough by itself. */
class NoPipeline extends Error {}

/**
 * Every module of the user's that is loaded, in order; of packages those that are named in an import, as it names them.
 *
 * @param {string} folder
 * @returns {readonly LoadedModule[]}
 */
function watchModules(folder) {
  registerResolution(folder);
  /** @type {LoadedModule[]} */
  const loaded = [];
  /** @type {Map<string, string>} */
  const bare = new Map();
  /** @type {any} */ (module).registerHooks({
    resolve(/** @type {string} */ specifier, /** @type {object} */ context, /** @type {any} */ next) {
      const resolved = next(specifier, context);
      if (!/^(\.{0,2}\/|[a-z]+:)/.test(specifier)) bare.set(resolved.url, specifier);
      return resolved;
    },
    load(/** @type {string} */ url, /** @type {object} */ context, /** @type {any} */ next) {
      const isCode = url.startsWith("file:") && !url.startsWith(OWN_FOLDER) && !url.endsWith(".json");
      if (isCode && (bare.has(url) || !url.includes("/node_modules/"))) loaded.push({ url, bare: bare.get(url) });
      return next(url, context);
    },
  });
  return loaded;
}

/**
 * @param {unknown} error
 * @param {string} path
 */
function problemOf(error, path) {
  if (!(error instanceof Error)) return { message: `it threw ${String(error)}`, path: "" };
  const place = placeOf(error, path);
  const isSyntax = /** @type {NodeJS.ErrnoException} */ (error).code === "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX";
  const advice = isSyntax ? `: ${ADVICE_FOR_SYNTAX}` : "";
  const message = error instanceof NoPipeline ? error.message : `${error.name}: ${error.message}${advice}`;
  return { message, path: "", ...(place === undefined || error instanceof NoPipeline ? {} : { place }) };
}

/** @param {object} result */
function write(result) {
  const file = process.env.BERTH_COMPILE_RESULT;
  if (file === undefined) process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  else writeFileSync(file, JSON.stringify(result));
}
