/** @typedef {import("./kind-of.js").Kind} Kind */

const KEY = Symbol.for("berth.types");

/** One per process, whichever copy of this package the step's code has loaded. */
const registered = shared();

/** @returns {Map<string, Kind>} */
function shared() {
  const all = /** @type {Record<symbol, Map<string, Kind>>} */ (/** @type {unknown} */ (globalThis));
  all[KEY] ??= new Map();
  return all[KEY];
}

/**
 * Makes a type known that is called `x-name` in the pipeline file. Call it where the step's module is loaded.
 *
 * @param {string} name
 * @param {Kind} kind
 */
export function registerType(name, kind) {
  if (!/^x-[a-z0-9][a-z0-9._-]{0,59}$/.test(name)) {
    throw new RangeError(
      `a type of your own is called x-name, in small letters, digits, '.', '_' and '-', not '${name}'`,
    );
  }
  if (kind.load === undefined && kind.save === undefined) throw new TypeError(`${name} needs load, save or both`);
  registered.set(name, { format: name, ...kind });
}

/** @param {string} name */
export function registeredType(name) {
  return registered.get(name);
}

export function registeredNames() {
  return [...registered.keys()];
}
