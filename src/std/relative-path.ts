import { posix } from "node:path";

/** Longest path inside a tree, in bytes: leaves room for the folder that the tree is placed in below PATH_MAX (4096). */
export const RELATIVE_PATH_MAX_BYTES = 2048;
/** Longest name of one entry: the limit of the usual file systems. */
export const ENTRY_NAME_MAX_BYTES = 255;
/** Deeper trees are never meant; each level costs stack and path length wherever the tree is walked. */
export const TREE_DEPTH_MAX = 100;

/**
 * Why a path must not be used as the place of an entry inside a tree, or null when it may: it has to be relative,
 * `/`-separated and normalised, so that it names one place, inside, on every system.
 */
export function relativePathProblem(path: string): string | null {
  if (path === "") return "it is empty";
  if (Buffer.byteLength(path) > RELATIVE_PATH_MAX_BYTES) return `it is longer than ${RELATIVE_PATH_MAX_BYTES} bytes`;
  if (path.includes("\0")) return "it holds a NUL";
  if (path.includes("\\")) return "it holds a backslash, which separates folders on some systems";
  if (path.startsWith("/")) return "it is absolute";
  const names = path.split("/");
  if (names.length > TREE_DEPTH_MAX) return `it is deeper than ${TREE_DEPTH_MAX} folders`;
  for (const name of names) {
    if (name === "" || name === "." || name === "..") return `it holds '${name}' as the name of an entry`;
    if (name.length * 3 > ENTRY_NAME_MAX_BYTES && Buffer.byteLength(name) > ENTRY_NAME_MAX_BYTES) {
      return `it holds a name longer than ${ENTRY_NAME_MAX_BYTES} bytes`;
    }
  }
  return null;
}

/** A path as people write it (`./web/`, `a/../b`) in normal form, `.` for the root; null when it leads outside. */
export function normalInside(path: string): string | null {
  const normal = posix.normalize(path).replace(/(?<=.)\/+$/, "");
  return normal === "." || relativePathProblem(normal) === null ? normal : null;
}

/**
 * Why a link at `path` must not point to `target`, or null when it may: the target has to be relative and stay inside
 * the tree. `isLink` tells of other places of the same tree whether a link lies there: a target that leads through
 * one would be judged wrongly by its text alone (`a → b/..` leaves the tree if `b` leads to another level).
 */
export function linkProblem(path: string, target: string, isLink: (path: string) => boolean): string | null {
  if (target === "") return "its target is empty";
  if (Buffer.byteLength(target) > RELATIVE_PATH_MAX_BYTES) return "its target is too long";
  if (target.includes("\0") || target.includes("\\")) return "its target holds a NUL or a backslash";
  if (target.startsWith("/")) return `its target ${JSON.stringify(target)} is absolute`;
  const folder = posix.dirname(path);
  const place = folder === "." ? [] : folder.split("/");
  const names = target.split("/").filter((name) => name !== "" && name !== ".");
  for (const [index, name] of names.entries()) {
    if (name !== "..") place.push(name);
    else if (place.pop() === undefined) return `its target ${JSON.stringify(target)} leaves the folder`;
    if (index < names.length - 1 && isLink(place.join("/"))) {
      return `its target ${JSON.stringify(target)} leads through another link`;
    }
  }
  return null;
}
