import { copyFile, cp, realpath, stat } from "node:fs/promises";

/**
 * A function returns the path of what it wrote; unless that is the output's own place, it is copied there.
 *
 * @param {string} path
 * @param {unknown} value
 */
export async function place(path, value) {
  const source = value instanceof URL ? value : typeof value === "string" ? value : null;
  if (source === null)
    throw new TypeError(`expected the path of what was written, got ${value === null ? "null" : typeof value}`);
  const found = await stat(source).catch(() => null);
  if (found === null) throw new TypeError(`there is nothing at ${source}`);
  const target = await realpath(path).catch(() => null);
  if (target !== null && target === (await realpath(source))) return;
  if (found.isDirectory()) await cp(source, path, { recursive: true, verbatimSymlinks: true });
  else await copyFile(source, path);
}
