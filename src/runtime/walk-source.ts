import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { BerthError } from "../protocol/errors.ts";
import { errnoOf } from "../std/errno.ts";
import { IgnoreRules } from "../std/ignore-rules.ts";
import { linkProblem, relativePathProblem } from "../std/relative-path.ts";
import type { TarEntry } from "../std/tar.ts";
import { ALWAYS_IGNORED, IGNORE_FILE, type SourceLimits } from "./source-limits.ts";

export const LEAVE_OUT_ADVICE = `Leave out what the run does not need by listing it in ${IGNORE_FILE}, which reads like .gitignore.`;
/** An ignore file is written by hand. */
const IGNORE_FILE_MAX_BYTES = 256 * 1024;

export interface WalkOptions {
  readonly limits: SourceLimits;
  /** Relative to the root: only these files and folders, with the folders they lie in; "." is all. */
  readonly paths: readonly string[];
  /** Absolute path of a folder that is no part of it, wherever it lies. */
  readonly leaveOut: string | undefined;
}

/**
 * What of a source folder is packed, always in the same order: each folder's entries by name, a folder before what is
 * in it. Throws when the folder cannot be a source, saying which entry is in the way.
 */
export function walkSource(root: string, { limits, paths, leaveOut }: WalkOptions): TarEntry[] {
  const rules = readRules(root);
  const entries: TarEntry[] = [];
  let bytes = 0;
  const visit = (below: string) => {
    for (const name of readdirSync(join(root, below)).sort()) {
      const path = below === "" ? name : `${below}/${name}`;
      if (join(root, path) === leaveOut) continue;
      if (!isWanted(path, paths)) continue;
      const entry = entryAt(root, path, (isFolder) => rules.ignores(path, isFolder));
      if (entry === null) continue;
      entries.push(entry);
      bytes += entry.kind === "file" ? entry.size : 0;
      refuseTooLarge(root, entries.length, bytes, limits);
      if (entry.kind === "folder") visit(path);
    }
  };
  visit("");
  refuseLeavingLinks(entries);
  return entries;
}

/** Within a wanted path, or a folder on the way to one. */
function isWanted(path: string, paths: readonly string[]): boolean {
  return paths.some(
    (wanted) => wanted === "." || wanted === path || path.startsWith(`${wanted}/`) || wanted.startsWith(`${path}/`),
  );
}

function readRules(root: string): IgnoreRules {
  const file = join(root, IGNORE_FILE);
  const own = lstatSync(file, { throwIfNoEntry: false });
  if (own !== undefined && own.size > IGNORE_FILE_MAX_BYTES) {
    throw new BerthError("invalid_request", `${file} is larger than ${IGNORE_FILE_MAX_BYTES} bytes`);
  }
  return new IgnoreRules([...ALWAYS_IGNORED, own === undefined ? "" : readFileSync(file, "utf8")].join("\n"));
}

function entryAt(root: string, path: string, isIgnored: (isFolder: boolean) => boolean): TarEntry | null {
  const host = join(root, path);
  const stats = lstatSync(host, { throwIfNoEntry: false });
  if (stats === undefined || isIgnored(stats.isDirectory())) return null;
  const problem = path.includes("\ufffd") ? "it is not UTF-8" : relativePathProblem(path);
  if (problem !== null) throw refused(path, `its path cannot be kept: ${problem}`);
  if (stats.isDirectory()) return { kind: "folder", path };
  if (stats.isSymbolicLink()) return { kind: "link", path, target: readlinkSync(host) };
  if (!stats.isFile()) throw refused(path, "it is a device, FIFO or socket");
  return { kind: "file", path, executable: (stats.mode & 0o100) !== 0, size: stats.size };
}

function refuseTooLarge(root: string, entries: number, bytes: number, limits: SourceLimits): void {
  if (entries > limits.entriesMax) {
    const message = `The source folder ${root} holds more than ${limits.entriesMax} files and folders`;
    throw new BerthError("payload_too_large", message, { advice: LEAVE_OUT_ADVICE });
  }
  if (bytes > limits.unpackedBytesMax) {
    const message = `The source folder ${root} holds more than ${limits.unpackedBytesMax} bytes`;
    throw new BerthError("payload_too_large", message, { advice: LEAVE_OUT_ADVICE });
  }
}

function refuseLeavingLinks(entries: readonly TarEntry[]): void {
  const links = new Set(entries.flatMap((entry) => (entry.kind === "link" ? entry.path : [])));
  for (const entry of entries) {
    if (entry.kind !== "link") continue;
    const problem = linkProblem(entry.path, entry.target, (path) => links.has(path));
    if (problem !== null) throw refused(entry.path, `it is a symbolic link, and ${problem}`);
  }
}

function refused(path: string, why: string): BerthError {
  const message = `The source folder cannot be packed because of ${JSON.stringify(path)}: ${why}`;
  return new BerthError("invalid_request", message, { advice: LEAVE_OUT_ADVICE });
}

/** The folder's own problems, such as that it does not exist, in words. */
export function sourceFolderError(root: string, error: unknown): unknown {
  const code = errnoOf(error);
  if (code === "ENOENT")
    return new BerthError("invalid_request", `The source folder ${root} does not exist`, { cause: error });
  if (code === "ENOTDIR") return new BerthError("invalid_request", `The source ${root} is no folder`, { cause: error });
  if (code === "EACCES") {
    const message = `The source folder ${root} cannot be read as a whole: ${(error as Error).message}`;
    return new BerthError("invalid_request", message, { cause: error, advice: LEAVE_OUT_ADVICE });
  }
  return error;
}
