import { nameOf } from "../types/name-of.js";
import { paramReferences } from "./params.js";
import { placeOf } from "./place.js";
import { Each, Gathered, Matrix, Output, outputOf, Param, Step } from "./references.js";

/** @typedef {import("./place.js").Place} Place */
/** @typedef {Record<string, unknown>} Spec */

const MARK = Symbol.for("berth.pipeline");

/** The environment of steps where the pipeline names none: Node, and the folder of the pipeline. */
const DEFAULT_ENVIRONMENT = { base: "node:24-slim", source: "." };
/** The output of a function that declares none. */
const RESULT = "result";

/**
 * A pipeline that is written as a program. Nothing happens here: `build` is only called when it is compiled, for this
 * module is loaded in every one of its steps as well.
 *
 * @param {string} name
 * @param {Spec} options the keys of the pipeline file, but for the steps
 * @param {(given: { readonly params: any }) => void} build
 */
export function pipeline(name, options, build) {
  return { [MARK]: true, name, options, build };
}

/**
 * @typedef {ReturnType<typeof pipeline>} Pipeline
 *
 * @param {unknown} value
 * @returns {value is Pipeline}
 */
export function isPipeline(value) {
  return typeof value === "object" && value !== null && MARK in value;
}

/**
 * What a build has gathered so far.
 *
 * @typedef {object} Build
 * @property {Map<string, Spec>} steps
 * @property {Map<string, Function>} functions by step
 * @property {Map<string, Place | undefined>} places by step
 * @property {Set<string>} read outputs, as step.output
 * @property {{ message: string, path: string, place: Place | undefined }[]} problems
 * @property {string} file
 */

/** @type {Build | null} */
let current = null;

/**
 * Calls the pipeline's function, and gives what it added.
 *
 * @param {Pipeline} described
 * @param {string} file
 */
export function build({ name, options, build: add }, file) {
  const { params = {}, ...rest } = /** @type {{ params?: Spec }} */ (options);
  /** @type {Build} */
  const made = { steps: new Map(), functions: new Map(), places: new Map(), read: new Set(), problems: [], file };
  current = made;
  try {
    const returned = /** @type {unknown} */ (add({ params: paramReferences(params) }));
    if (returned instanceof Promise) {
      throw new TypeError("the function of a pipeline adds its steps at once: it is not async, and awaits nothing");
    }
  } finally {
    current = null;
  }
  const hasEnvironment = "environment" in rest || "environments" in rest;
  const environment = hasEnvironment || made.functions.size === 0 ? {} : { environment: DEFAULT_ENVIRONMENT };
  const head = plain({ name, ...(Object.keys(params).length === 0 ? {} : { params }), ...environment, ...rest }, made);
  for (const step of made.functions.keys()) settleResult(step, made);
  return { ...made, head: /** @type {Spec} */ (head) };
}

/**
 * A result that nobody reads need not be there: whether a function returns anything, its types have said, which are gone.
 *
 * @param {string} step
 * @param {Build} made
 */
function settleResult(step, { steps, read }) {
  const spec = /** @type {Spec} */ (steps.get(step));
  if (spec.outputs === undefined) {
    spec.outputs = { [RESULT]: { type: "json", ...(read.has(`${step}.${RESULT}`) ? {} : { optional: true }) } };
  }
}

/**
 * Adds a step: a function with what it gets, or a name with what the pipeline file may hold of it.
 *
 * @param {Function | string} what
 * @param {Spec} [given]
 * @param {Spec} [options]
 */
export function step(what, given = {}, options = {}) {
  const made = current;
  if (made === null)
    throw new Error("step() is only called in the function of a pipeline: pipeline(name, {…}, () => { step(…) })");
  const place = placeOf(new Error(), made.file);
  const { name = typeof what === "string" ? what : what.name, ...rest } =
    typeof what === "string" ? { ...given, name: what } : options;
  const problem = (/** @type {string} */ message, path = `steps.${name}`) =>
    void made.problems.push({ message, path, place });
  const added = new Step(String(name), outputNames(rest.outputs, typeof what !== "string"));
  if (name === "") problem("the function has no name: give the step one, { name: … }", "steps");
  else if (made.steps.has(added.name)) problem(`a second step of this name: give it another, { name: … }`);
  else {
    made.places.set(added.name, place);
    const wired = typeof what === "string" ? {} : wire(given, made, problem);
    const spec = /** @type {Spec} */ (plain(rest, made, problem));
    if (typeof what !== "string") made.functions.set(added.name, what);
    // Inputs may come from both; all else can only be said once.
    const inputs = { .../** @type {Spec} */ (wired.inputs ?? {}), .../** @type {Spec} */ (spec.inputs ?? {}) };
    made.steps.set(added.name, { ...wired, ...spec, ...(Object.keys(inputs).length === 0 ? {} : { inputs }) });
  }
  return added;
}

/**
 * @param {unknown} outputs
 * @param {boolean} isFunction
 * @returns {string[]}
 */
function outputNames(outputs, isFunction) {
  if (outputs === undefined) return isFunction ? [RESULT] : [];
  if (Array.isArray(outputs)) return outputs.map((path) => /([^/.]+)[^/]*\/?$/.exec(String(path))?.[1] ?? "");
  return Object.keys(/** @type {object} */ (outputs));
}

/**
 * What the function gets, as the keys of the pipeline file say it.
 *
 * @param {Spec} given
 * @param {Build} made
 * @param {(message: string) => void} problem
 */
function wire(given, made, problem) {
  /** @type {{ args: Spec, matrix: Spec, inputs: Spec, batch?: unknown }} */
  const wired = { args: {}, matrix: {}, inputs: {} };
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    if (value instanceof Each) {
      if (name !== "batch") problem(`a part of a batch is handed over as "batch", not as "${name}"`);
      wired.batch = plain(value, made, problem);
    } else if (value instanceof Matrix) wired.matrix[name] = value.values;
    else if (value instanceof Param) {
      // A parameter reaches every function under its own name.
      if (value.name !== name) wired.args[name] = String(value);
    } else if (value instanceof Output || value instanceof Step || value instanceof Gathered) {
      wired.inputs[name] = plain(value, made, problem);
    } else if (isArgument(value)) wired.args[name] = value;
    else
      problem(
        `the argument "${name}" is ${nameOf(value)}: hand over outputs, parameters, matrix(…), each(…), or texts, numbers and lists of them`,
      );
  }
  const { batch, ...records } = wired;
  const used = Object.fromEntries(Object.entries(records).filter(([, entries]) => Object.keys(entries).length > 0));
  return /** @type {Spec} */ ({ ...used, ...(batch === undefined ? {} : { batch }) });
}

/**
 * @param {unknown} value
 * @returns {boolean}
 */
function isArgument(value) {
  return Array.isArray(value)
    ? value.every((item) => !Array.isArray(item) && isArgument(item))
    : ["string", "number", "boolean"].includes(typeof value);
}

/**
 * As the pipeline file writes it: references by name.
 *
 * @param {unknown} value
 * @param {Build} made
 * @param {(message: string) => void} [problem]
 * @returns {unknown}
 */
function plain(value, made, problem) {
  const inner = (/** @type {unknown} */ item) => plain(item, made, problem);
  try {
    if (value instanceof Param) return String(value);
    if (value instanceof Output) return read(value, made);
    if (value instanceof Step) return read(outputOf(value), made);
    if (value instanceof Gathered) return { from: read(value.output, made), gather: value.how };
    if (value instanceof Each) return { over: inner(value.over), ...value.options };
    if (value instanceof Matrix) return value.values;
  } catch (error) {
    if (!(error instanceof TypeError) || problem === undefined) throw error;
    problem(error.message);
    return null;
  }
  if (Array.isArray(value)) return value.map(inner);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(
    entries.map(([key, item]) => [key, key === "needs" && Array.isArray(item) ? item.map(needed) : inner(item)]),
  );
}

/** @param {unknown} value */
function needed(value) {
  return value instanceof Step ? value.name : value instanceof Output ? value.step.name : value;
}

/**
 * @param {Output} output
 * @param {Build} made
 */
function read(output, made) {
  made.read.add(String(output));
  return String(output);
}
