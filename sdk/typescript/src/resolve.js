import * as module from "node:module";
import { pathToFileURL } from "node:url";

// How packages are found by Berth's own copy of this package, which lies outside of the step's folder: `berth-sdk` is
// this copy wherever it is imported, so that nothing has to be installed; and packages that this copy wants, such as
// those for Parquet, and a step's module that is a package, are looked up from the step's working folder.

const NAME = "berth-sdk";
const OWN_FOLDER = new URL("..", import.meta.url).href;
/** Marks what is to be looked up from the working folder. */
const FROM_WORKING_FOLDER = "berth-from-working-folder:";
const PEERS = new Set(["hyparquet", "hyparquet-compressors", "hyparquet-writer"]);

/**
 * @param {string} specifier
 * @param {string | undefined} parent
 * @param {string} workingFolder URL of it, with a '/' at its end
 * @returns {{ specifier: string, parent: string | undefined }}
 */
function redirect(specifier, parent, workingFolder) {
  if (specifier === NAME) return { specifier: new URL("src/index.js", OWN_FOLDER).href, parent };
  if (specifier.startsWith(FROM_WORKING_FOLDER)) {
    return { specifier: specifier.slice(FROM_WORKING_FOLDER.length), parent: workingFolder };
  }
  if (PEERS.has(specifier) && parent?.startsWith(OWN_FOLDER)) return { specifier, parent: workingFolder };
  return { specifier, parent };
}

let isRegistered = false;

/** From now on packages are found as is said above. Done twice it changes nothing. */
export function registerResolution(folder = process.cwd()) {
  if (isRegistered) return;
  isRegistered = true;
  const workingFolder = pathToFileURL(`${folder}/`).href;
  const { registerHooks } = /** @type {{ registerHooks?: (hooks: object) => void }} */ (module);
  if (registerHooks === undefined) {
    // Before Node 22.15, hooks run on a thread of their own, where this file is loaded once more.
    module.register(import.meta.url, { data: { workingFolder } });
    return;
  }
  registerHooks({
    resolve: (/** @type {string} */ specifier, /** @type {any} */ context, /** @type {any} */ next) => {
      const to = redirect(specifier, context.parentURL, workingFolder);
      return next(to.specifier, { ...context, parentURL: to.parent });
    },
  });
}

/** @param {string} name */
export function fromWorkingFolder(name) {
  return FROM_WORKING_FOLDER + name;
}

let hookFolder = "";

/** @param {{ workingFolder: string }} data */
export function initialize({ workingFolder }) {
  hookFolder = workingFolder;
}

/**
 * @param {string} specifier
 * @param {{ parentURL?: string }} context
 * @param {(specifier: string, context: object) => Promise<object>} next
 */
export async function resolve(specifier, context, next) {
  const to = redirect(specifier, context.parentURL, hookFolder);
  return next(to.specifier, { ...context, parentURL: to.parent });
}
