import { fileURLToPath } from "node:url";
import { inspect } from "node:util";
import { bindArguments } from "./arguments.js";
import { isBusinessError } from "./business-error.js";
import { BUSINESS_EXIT_CODE, writeErrorFile } from "./error-file.js";
import { readInvocation, targetOf } from "./invocation.js";
import { loadFunction } from "./load-function.js";
import { writeOutputs } from "./outputs.js";
import { registerResolution } from "./resolve.js";
import { StepError } from "./step-error.js";

const OWN = [new URL(".", import.meta.url), new URL("../run-step.js", import.meta.url)];

/**
 * Loads the function, calls it, writes what it returns, and ends the process: 0, 65 for a business error, 1 for every
 * other. The step ends when its function has returned, whatever timers and connections it leaves open.
 */
export async function runStep() {
  hideWarningsOfStripping();
  let target = "the step's function";
  process.on("uncaughtException", (error) => process.exit(report(error)));
  // Comes only when nothing is left to do, and not where the step's own code ends the process.
  process.once("beforeExit", () => {
    const advice = "nothing is left that could settle its promise";
    process.exit(report(new StepError(`${target} waits for something that cannot happen any more: ${advice}`)));
  });
  let exitCode = 0;
  try {
    const invocation = readInvocation();
    target = targetOf(invocation);
    registerResolution();
    const called = await loadFunction(invocation);
    await writeOutputs(invocation, await called(await bindArguments(invocation, called)));
  } catch (error) {
    exitCode = report(error);
  }
  process.exit(exitCode);
}

/**
 * Says what went wrong, in the log and to Berth.
 *
 * @param {unknown} error
 * @returns {number} the exit code
 */
function report(error) {
  if (isBusinessError(error)) {
    const message = error.message || error.name;
    process.stderr.write(`business error: ${message}\n`);
    writeErrorFile("business", message);
    return BUSINESS_EXIT_CODE;
  }
  if (error instanceof StepError) {
    process.stderr.write(`berth: ${error.message}\n`);
    writeErrorFile("application", error.message);
    return 1;
  }
  process.stderr.write(`${withoutOwnFrames(inspect(error))}\n`);
  writeErrorFile("application", error instanceof Error ? `${error.name}: ${error.message}` : inspect(error));
  return 1;
}

/**
 * Without the frames of this package and of Node, which say nothing to the step's author.
 *
 * @param {string} text
 */
function withoutOwnFrames(text) {
  const own = OWN.flatMap((url) => [url.href, fileURLToPath(url)]);
  const isOwn = (/** @type {string} */ line) =>
    own.some((place) => line.includes(place)) || line.includes("(node:internal/");
  return text
    .split("\n")
    .filter((line) => !/^\s+at /.test(line) || !isOwn(line))
    .join("\n");
}

/** Node 22 tells every program that it strips types; a step's author knows. */
function hideWarningsOfStripping() {
  const { emitWarning } = process;
  process.emitWarning = /** @type {typeof emitWarning} */ (
    (/** @type {any} */ warning, /** @type {any[]} */ ...rest) => {
      if (String(warning).startsWith("Type Stripping is an experimental feature")) return;
      /** @type {any} */ (emitWarning).call(process, warning, ...rest);
    }
  );
}
