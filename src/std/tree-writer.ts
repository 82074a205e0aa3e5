import { chmodSync, mkdirSync, symlinkSync } from "node:fs";
import { join, posix } from "node:path";
import { errnoOf } from "./errno.ts";
import { linkProblem, relativePathProblem } from "./relative-path.ts";

/** An entry that would be placed outside of its tree, or on top of another one. */
export class UnsafeEntryError extends Error {
  override readonly name = "UnsafeEntryError";
  readonly path: string;

  constructor(path: string, why: string) {
    super(`The entry ${JSON.stringify(path.slice(0, 200))} is refused: ${why}.`);
    this.path = path;
  }
}

/**
 * Places the entries of an untrusted listing (an archive, a manifest) below a folder that is empty and its own.
 *
 * Nothing is ever written through a link: only folders that the writer made itself are descended into, and links are
 * made last, by `finish`. Nothing is ever overwritten: the caller creates each file exclusively (O_EXCL, `link`), so
 * two names that the file system takes for one (case, Unicode form) are refused where that is so, and stay two files
 * where they are two.
 */
export class TreeWriter {
  readonly #root: string;
  readonly #folders = new Set<string>([""]);
  readonly #links = new Map<string, string>();

  constructor(root: string) {
    this.#root = root;
  }

  /** Makes a folder and those above it. */
  folder(path: string): void {
    this.#check(path);
    this.#makeFolder(path);
  }

  /** The host path at which the caller creates the file, exclusively. */
  file(path: string): string {
    this.#check(path);
    const parent = posix.dirname(path);
    if (parent !== ".") this.#makeFolder(parent);
    return join(this.#root, path);
  }

  /** Notes a link; it is judged and made by `finish`, when all links are known. */
  link(path: string, target: string): void {
    this.file(path);
    if (this.#links.has(path)) throw new UnsafeEntryError(path, "there are two of it");
    this.#links.set(path, target);
  }

  finish(): void {
    for (const [path, target] of this.#links) {
      const problem = linkProblem(path, target, (place) => this.#links.has(place));
      if (problem !== null) throw new UnsafeEntryError(path, problem);
    }
    for (const [path, target] of this.#links) exclusively(path, () => symlinkSync(target, join(this.#root, path)));
  }

  #check(path: string): void {
    const problem = relativePathProblem(path);
    if (problem !== null) throw new UnsafeEntryError(path, problem);
  }

  #makeFolder(path: string): void {
    if (this.#folders.has(path)) return;
    const parent = posix.dirname(path);
    if (parent !== ".") this.#makeFolder(parent);
    exclusively(path, () => makeOpenFolder(join(this.#root, path)));
    this.#folders.add(path);
  }
}

/** Makes a folder that every user can read, whatever the process's umask takes away. */
export function makeOpenFolder(path: string): void {
  mkdirSync(path);
  chmodSync(path, 0o755);
}

/** What a failed creation of an entry means: that something is there already, or in the way, is the listing's fault. */
export function entryError(path: string, error: unknown): unknown {
  const code = errnoOf(error);
  if (code === "EEXIST")
    return new UnsafeEntryError(
      path,
      "another entry has the same name, or one that differs only in upper and lower case or in its Unicode form, which is the same to the file system here",
    );
  if (code === "ENOTDIR") return new UnsafeEntryError(path, "it lies below something that is no folder");
  return error;
}

function exclusively(path: string, create: () => void): void {
  try {
    create();
  } catch (error) {
    throw entryError(path, error);
  }
}
