/**
 * The path of an input: the file or the folder itself.
 *
 * @param {string} name
 */
export function inputPath(name) {
  return pathOf("INPUT", name);
}

/**
 * The path at which an output is to be written.
 *
 * @param {string} name
 */
export function outputPath(name) {
  return pathOf("OUTPUT", name);
}

/**
 * @param {"INPUT" | "OUTPUT"} kind
 * @param {string} name
 */
function pathOf(kind, name) {
  const path = process.env[`BERTH_${kind}_${name.toUpperCase().replaceAll("-", "_")}`];
  if (path === undefined) throw new RangeError(`this step declares no ${kind.toLowerCase()} named "${name}"`);
  return path;
}
