import { createHash, randomBytes } from "node:crypto";
import {
  closeSync,
  type Dir,
  type Dirent,
  lstatSync,
  opendirSync,
  openSync,
  readlinkSync,
  rmSync,
  type Stats,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { MANIFEST_MAX_BYTES, type ManifestEntry } from "../protocol/artifacts.ts";
import { errnoOf } from "../std/errno.ts";
import { forEachLimit } from "../std/for-each-limit.ts";
import type { HashedBytes } from "../std/hash-file.ts";
import { linkProblem, relativePathProblem } from "../std/relative-path.ts";
import { TimeSlice } from "../std/time-slice.ts";
import type { BlobSource } from "./attempt-work.ts";
import { collectFile } from "./collect-file.ts";
import { EXECUTABLE_MODE, FILE_MODE, FOLDER_MODE, manifestText } from "./folder-manifest.ts";
import { type OutputBudget, OutputProblem } from "./output-problem.ts";
import { similarNames } from "./similar-names.ts";

/** Files in work at once: enough to keep all hashing threads busy with large ones. */
const FILES_AT_ONCE = 4;
/** The manifest is written in pieces of about this size. */
const MANIFEST_CHUNK_CHARS = 64 * 1024;
/** Names are read from a large folder in portions, never all at once. */
const NAMES_PER_READ = 256;

export interface CollectedFolder {
  /** Of the manifest, which is in the cache like every file. */
  readonly manifest: HashedBytes;
  readonly bytes: number;
  readonly fileCount: number;
  /** What may surprise whoever gets it. */
  readonly warning: string | null;
}

/** Collects all of a folder that a step left at `root`. `scratch` is a folder for the manifest while it is written. */
export async function collectFolder(
  root: string,
  scratch: string,
  options: { readonly cache: BlobSource; readonly budget: OutputBudget; readonly signal: AbortSignal },
): Promise<CollectedFolder> {
  const entries: ManifestEntry[] = [];
  const slice = new TimeSlice();
  let bytes = 0;
  let fileCount = 0;
  await forEachLimit(walk(root, options.budget), FILES_AT_ONCE, async ({ path, host, stats }) => {
    await slice.breathe();
    options.signal.throwIfAborted();
    if (stats.isDirectory()) entries.push({ kind: "folder", path, mode: FOLDER_MODE });
    else if (stats.isSymbolicLink()) entries.push({ kind: "link", path, target: targetOf(host) });
    else {
      const mode = (stats.mode & 0o100) === 0 ? FILE_MODE : EXECUTABLE_MODE;
      const { digest, size } = await collectFile(host, stats, options);
      entries.push({ kind: "file", path, mode, size, digest });
      bytes += size;
      fileCount++;
    }
  });
  refuseLeavingLinks(entries);
  const warning = similarityWarning(entries);
  return { manifest: await storeManifest(entries, scratch, options.cache), bytes, fileCount, warning };
}

interface Found {
  readonly path: string;
  readonly host: string;
  readonly stats: Stats;
}

/** Every entry below `root`, links unfollowed. What is neither file, folder nor link ends the walk with a problem. */
function* walk(root: string, budget: OutputBudget, below = ""): Generator<Found> {
  const folder = openFolder(join(root, below));
  try {
    for (let entry = folder.readSync(); entry !== null; entry = folder.readSync()) {
      budget.takeEntry();
      const found = look(root, below, entry);
      yield found;
      if (found.stats.isDirectory()) yield* walk(root, budget, found.path);
    }
  } finally {
    folder.closeSync();
  }
}

function openFolder(path: string): Dir {
  try {
    return opendirSync(path, { bufferSize: NAMES_PER_READ });
  } catch (error) {
    if (errnoOf(error) === "EACCES") throw new OutputProblem("permission", `${path} cannot be read by the agent`);
    throw error;
  }
}

function look(root: string, below: string, entry: Dirent): Found {
  const path = below === "" ? entry.name : `${below}/${entry.name}`;
  const shown = JSON.stringify(path.slice(0, 200));
  if (entry.name.includes("\ufffd")) throw new OutputProblem("output-unsafe", `the name ${shown} is not UTF-8`);
  const problem = relativePathProblem(path);
  if (problem !== null) throw new OutputProblem("output-unsafe", `the path ${shown} cannot be kept: ${problem}`);
  const host = join(root, path);
  const stats = lstatSync(host);
  if (!stats.isFile() && !stats.isDirectory() && !stats.isSymbolicLink()) {
    throw new OutputProblem("output-unsafe", `${shown} is a device, FIFO or socket`);
  }
  return { path, host, stats };
}

function targetOf(link: string): string {
  const target = readlinkSync(link);
  if (target.includes("\ufffd")) throw new OutputProblem("output-unsafe", `the target of ${link} is not UTF-8`);
  return target;
}

function refuseLeavingLinks(entries: readonly ManifestEntry[]): void {
  const links = new Set(entries.flatMap((entry) => (entry.kind === "link" ? entry.path : [])));
  for (const entry of entries) {
    if (entry.kind !== "link") continue;
    const problem = linkProblem(entry.path, entry.target, (path) => links.has(path));
    if (problem !== null) {
      throw new OutputProblem("output-unsafe", `the link ${JSON.stringify(entry.path)} cannot be kept: ${problem}`);
    }
  }
}

function similarityWarning(entries: readonly ManifestEntry[]): string | null {
  const similar = similarNames(entries.map(({ path }) => path).sort());
  if (similar === null) return null;
  const [one, other] = similar.first.map((path) => JSON.stringify(path.slice(0, 200)));
  const more = similar.count === 1 ? "" : `, and ${similar.count - 1} more such pairs,`;
  return (
    `the names ${one} and ${other}${more} differ only in upper and lower case or in their Unicode form: ` +
    "the folder is kept as it is, but cannot be downloaded where these are the same name, as on macOS and Windows"
  );
}

async function storeManifest(entries: readonly ManifestEntry[], scratch: string, cache: BlobSource) {
  // A name that the step cannot have taken; and `wx` would not write through what it left there.
  const file = join(scratch, `manifest-${randomBytes(9).toString("base64url")}`);
  try {
    const manifest = await writeManifest(file, entries);
    await cache.adopt(file, manifest.digest, manifest.size);
    return manifest;
  } finally {
    rmSync(file, { force: true });
  }
}

async function writeManifest(file: string, entries: readonly ManifestEntry[]): Promise<HashedBytes> {
  const slice = new TimeSlice();
  const hash = createHash("sha256");
  let size = 0;
  let piece = "";
  const fd = openSync(file, "wx", 0o600);
  const flush = () => {
    const bytes = Buffer.from(piece);
    hash.update(bytes);
    for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written);
    size += bytes.length;
    piece = "";
    if (size > MANIFEST_MAX_BYTES) {
      throw new OutputProblem(
        "output-too-large",
        `a folder of ${entries.length} entries is too much to keep file by file: write it as one archive`,
      );
    }
  };
  try {
    for (const text of manifestText(entries)) {
      piece += text;
      if (piece.length < MANIFEST_CHUNK_CHARS) continue;
      flush();
      await slice.breathe();
    }
    flush();
  } finally {
    closeSync(fd);
  }
  return { digest: hash.digest("hex"), size };
}
