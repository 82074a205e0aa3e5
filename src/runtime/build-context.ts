import { hash } from "node:crypto";
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, renameSync, type Stats } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { ContextFile } from "../environment/image-key.ts";
import { hashFile } from "../std/hash-file.ts";
import { IgnoreRules } from "../std/ignore-rules.ts";
import { linkOrCopy } from "../std/link-or-copy.ts";
import { normalInside } from "../std/relative-path.ts";
import { removeTree } from "../std/remove-tree.ts";
import { TimeSlice } from "../std/time-slice.ts";
import { makeOpenFolder, TreeWriter } from "../std/tree-writer.ts";

/** Written by hand; more is no Dockerfile. */
const TEXT_MAX_BYTES = 1024 * 1024;

/** Something that an environment names is not in the source folder, or cannot be there. */
export class BuildContextProblem extends Error {
  override readonly name = "BuildContextProblem";
  readonly advice: string;

  constructor(message: string) {
    super(message);
    this.advice = "Paths of an environment are relative to the folder that was submitted as source.";
  }
}

/** One entry of a build context, with what goes into the image's key. */
export interface ContextEntry extends ContextFile {
  readonly kind: "file" | "folder" | "link";
  /** For a link. */
  readonly target: string;
}

/**
 * What of `root` goes into a build: single files, which must be there, and everything below `folder` that the
 * `.dockerignore` of `root` does not leave out.
 */
export async function contextEntries(
  root: string,
  wanted: { readonly files: readonly string[]; readonly folder: string | null },
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
    for (const found of walk(root, inside, readRules(root))) {
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

function readRules(root: string): IgnoreRules {
  const file = join(root, ".dockerignore");
  const stats = lstatSync(file, { throwIfNoEntry: false });
  return new IgnoreRules(stats?.isFile() && stats.size <= TEXT_MAX_BYTES ? readFileSync(file, "utf8") : "", "context");
}

function* walk(root: string, below: string, rules: IgnoreRules): Generator<{ path: string; stats: Stats }> {
  for (const name of readdirSync(join(root, below)).sort()) {
    const path = below === "." ? name : `${below}/${name}`;
    const stats = lstatSync(join(root, path));
    const ignored = rules.ignores(path, stats.isDirectory());
    if (!ignored) yield { path, stats };
    if (stats.isDirectory() && (!ignored || rules.mayComeBack)) yield* walk(root, path, rules);
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
