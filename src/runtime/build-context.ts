import { hash } from "node:crypto";
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  type Stats,
  statSync,
} from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { DockerIgnore, DockerIgnoreProblem, type FolderMatches } from "../environment/docker-ignore.ts";
import type { ContextFile } from "../environment/image-key.ts";
import { hashFile } from "../std/hash-file.ts";
import { linkOrCopy } from "../std/link-or-copy.ts";
import { normalInside } from "../std/relative-path.ts";
import { removeTree } from "../std/remove-tree.ts";
import { TimeSlice } from "../std/time-slice.ts";
import { makeOpenFolder, TreeWriter } from "../std/tree-writer.ts";

/** Written by hand; more is no Dockerfile. */
const TEXT_MAX_BYTES = 1024 * 1024;
const IGNORE_ADVICE =
  "It is read as Docker reads it: https://docs.docker.com/build/concepts/context/#dockerignore-files";

/** Something that an environment names is not in the source folder, or cannot be there. */
export class BuildContextProblem extends Error {
  override readonly name = "BuildContextProblem";
  readonly advice: string;

  constructor(
    message: string,
    advice = "Paths of an environment are relative to the folder that was submitted as source.",
  ) {
    super(message);
    this.advice = advice;
  }
}

/** One entry of a build context, with what goes into the image's key. */
export interface ContextEntry extends ContextFile {
  readonly kind: "file" | "folder" | "link";
  /** For a link. */
  readonly target: string;
}

/**
 * What of `root` goes into a build: single files, which must be there, and everything below `folder` that `ignore` does
 * not leave out.
 */
export async function contextEntries(
  root: string,
  wanted: { readonly files: readonly string[]; readonly folder: string | null },
  ignore: DockerIgnore,
): Promise<ContextEntry[]> {
  const entries = new Map<string, ContextEntry>();
  for (const path of wanted.files) {
    const { inside, stats } = find(root, path);
    if (!stats.isFile())
      throw new BuildContextProblem(`The environment names ${JSON.stringify(path)}, which is no file.`);
    entries.set(inside, await entryOf(root, inside, stats));
  }
  if (wanted.folder !== null) {
    folderInContext(root, wanted.folder);
    const { inside } = find(root, wanted.folder);
    const slice = new TimeSlice();
    for (const found of walk(root, inside, ignore)) {
      await slice.breathe();
      entries.set(found.path, await entryOf(root, found.path, found.stats));
    }
  }
  return [...entries.values()];
}

/** The text of a file inside `root`, such as the user's Dockerfile. */
export function readInContext(root: string, path: string): string {
  const { inside, stats } = find(root, path);
  if (!stats.isFile() || stats.size > TEXT_MAX_BYTES) {
    throw new BuildContextProblem(
      `The environment names ${JSON.stringify(path)}, which is no file of reasonable size.`,
    );
  }
  return readFileSync(join(root, inside), "utf8");
}

/** Makes the context folder, whole or not at all; one that is there under the same key is the same. */
export async function writeContext(
  root: string | null,
  entries: readonly ContextEntry[],
  target: string,
): Promise<void> {
  if (lstatSync(target, { throwIfNoEntry: false }) !== undefined) return;
  mkdirSync(dirname(target), { recursive: true });
  const partial = await mkdtemp(`${target}.partial-`);
  try {
    const folder = join(partial, "context");
    makeOpenFolder(folder);
    const tree = new TreeWriter(folder);
    for (const { kind, path, target: linked } of entries) {
      if (kind === "folder") tree.folder(path);
      else if (kind === "link") tree.link(path, linked);
      else await linkOrCopy(join(root!, path), tree.file(path));
    }
    tree.finish();
    renameSync(folder, target);
  } finally {
    await removeTree(partial);
  }
}

/** The host path of a folder that an environment names inside `root`. */
export function folderInContext(root: string, path: string): string {
  const { inside, stats } = find(root, path);
  if (stats.isDirectory()) return join(root, inside);
  throw new BuildContextProblem(`The environment names ${JSON.stringify(path)}, which is no folder.`);
}

function find(root: string, path: string): { readonly inside: string; readonly stats: Stats } {
  const inside = normalInside(path);
  if (inside === null) {
    throw new BuildContextProblem(`The environment names ${JSON.stringify(path)}, which is no path inside the source.`);
  }
  const stats = lstatSync(join(root, inside), { throwIfNoEntry: false });
  if (stats === undefined) {
    throw new BuildContextProblem(`The environment needs ${JSON.stringify(path)}, which is not in the source folder.`);
  }
  return { inside, stats };
}

/** The rules in the first of these files that is there. Throws BuildContextProblem where it cannot be read as such. */
export function readDockerIgnore(files: readonly string[]): DockerIgnore {
  for (const file of files) {
    const stats = statSync(file, { throwIfNoEntry: false });
    if (stats === undefined) continue;
    const name = basename(file);
    if (!stats.isFile() || stats.size > TEXT_MAX_BYTES) {
      throw new BuildContextProblem(`The ${name} is no file of reasonable size.`, IGNORE_ADVICE);
    }
    try {
      return new DockerIgnore(readFileSync(file, "utf8"));
    } catch (error) {
      if (!(error instanceof DockerIgnoreProblem)) throw error;
      throw new BuildContextProblem(`The ${name} cannot be used: ${error.message}.`, IGNORE_ADVICE);
    }
  }
  return new DockerIgnore("");
}

/** From `below` on; what a rule says of a folder that lies above it counts as well. */
function* walk(root: string, below: string, ignore: DockerIgnore): Generator<{ path: string; stats: Stats }> {
  let above: FolderMatches | null = null;
  if (below !== ".") {
    const names = below.split("/");
    for (let depth = 1; depth <= names.length; depth++) {
      above = ignore.decide(names.slice(0, depth).join("/"), above).matches;
    }
  }
  yield* walkFolder(root, below, ignore, above);
}

function* walkFolder(
  root: string,
  folder: string,
  ignore: DockerIgnore,
  folderMatches: FolderMatches | null,
): Generator<{ path: string; stats: Stats }> {
  for (const name of readdirSync(join(root, folder)).sort()) {
    const path = folder === "." ? name : `${folder}/${name}`;
    const stats = lstatSync(join(root, path));
    const { ignored, matches } = ignore.decide(path, folderMatches);
    if (!ignored) yield { path, stats };
    if (stats.isDirectory() && (!ignored || ignore.mayComeBack)) yield* walkFolder(root, path, ignore, matches);
  }
}

async function entryOf(root: string, path: string, stats: Stats): Promise<ContextEntry> {
  if (stats.isDirectory()) return { kind: "folder", path, digest: hash("sha256", ""), mode: 0o755, target: "" };
  if (stats.isSymbolicLink()) {
    const target = readlinkSync(join(root, path));
    return { kind: "link", path, digest: hash("sha256", target), mode: 0o777, target };
  }
  const { digest } = await hashFile(join(root, path), stats.size);
  return { kind: "file", path, digest, mode: (stats.mode & 0o100) === 0 ? 0o644 : 0o755, target: "" };
}
