import { createHash } from "node:crypto";
import { createWriteStream, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { FolderManifest, type ManifestEntry } from "../../protocol/artifacts.ts";
import type { ArtifactVersion } from "../../protocol/resources.ts";
import { relativePathProblem } from "../../std/relative-path.ts";
import { entryError, TreeWriter, UnsafeEntryError } from "../../std/tree-writer.ts";
import { openContent } from "../api/artifacts.ts";
import type { ApiClient } from "../api/client.ts";
import { streamBody } from "../api/stream-body.ts";
import { CliError, usageError } from "../cli-error.ts";

export interface DownloadOptions {
  readonly api: ApiClient;
  /** Folder that gets the artifact; it exists. */
  readonly folder: string;
  /** Whether what is there may be replaced. */
  readonly overwrite: boolean;
}

const FILE_MODE = 0o644;
const EXECUTABLE_MODE = 0o755;

/**
 * Downloads one item of an artifact version and returns where it lies. The bytes are checked against their SHA-256; it
 * appears under its name only when all of it is there and right.
 */
export async function downloadArtifact(artifact: ArtifactVersion, options: DownloadOptions): Promise<string> {
  const { folder, overwrite } = options;
  const target = join(folder, oneName(artifact.fileName));
  if (!overwrite && existsSync(target)) throw usageError(`${target} exists already.`, "--force replaces it.");
  // Beside the target, so that the last rename stays within one file system.
  const staging = mkdtempSync(join(folder, ".berth-download-"));
  try {
    const staged = join(staging, "content");
    await fetchVerified(options.api, artifact, null, artifact.digest, staged);
    if (artifact.kind === "folder") await fetchFolder(options.api, artifact, staged, join(staging, "folder"));
    if (overwrite) rmSync(target, { recursive: true, force: true });
    renameSync(artifact.kind === "folder" ? join(staging, "folder") : staged, target);
    return target;
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

/** The server promised a name without separators; it is checked all the same. */
export function oneName(fileName: string): string {
  const problem = fileName.includes("/") ? "it holds a separator" : relativePathProblem(fileName);
  if (problem !== null) throw new UnsafeEntryError(fileName, problem);
  return fileName;
}

/** Folders of many small files are fetched one after another: the connection is kept, and order is easy to follow. */
async function fetchFolder(
  api: ApiClient,
  artifact: ArtifactVersion,
  manifestFile: string,
  target: string,
): Promise<void> {
  const manifest = FolderManifest.parse(JSON.parse(readFileSync(manifestFile, "utf8")));
  mkdirSync(target);
  const tree = new TreeWriter(target);
  for (const entry of manifest.entries) await fetchEntry(api, artifact, tree, entry);
  tree.finish();
}

async function fetchEntry(
  api: ApiClient,
  artifact: ArtifactVersion,
  tree: TreeWriter,
  entry: ManifestEntry,
): Promise<void> {
  if (entry.kind === "folder") return tree.folder(entry.path);
  if (entry.kind === "link") return tree.link(entry.path, entry.target);
  const mode = (entry.mode & 0o100) === 0 ? FILE_MODE : EXECUTABLE_MODE;
  try {
    await fetchVerified(api, artifact, entry.path, entry.digest, tree.file(entry.path), mode);
  } catch (error) {
    throw entryError(entry.path, error);
  }
}

async function fetchVerified(
  api: ApiClient,
  artifact: ArtifactVersion,
  path: string | null,
  digest: string,
  target: string,
  mode = FILE_MODE,
): Promise<void> {
  const abort = new AbortController();
  const response = await openContent(api, artifact, path, abort.signal);
  const hash = createHash("sha256");
  await pipeline(
    Readable.from(streamBody(response, abort.signal)),
    async function* (chunks: AsyncIterable<Uint8Array>) {
      for await (const chunk of chunks) {
        hash.update(chunk);
        yield chunk;
      }
    },
    createWriteStream(target, { flags: "wx", mode }),
  );
  if (hash.digest("hex") === digest) return;
  const what = path === null ? artifact.fileName : `${artifact.fileName}/${path}`;
  throw new CliError(`The bytes of ${what} are not those that were stored: their SHA-256 is not ${digest}.`, {
    advice: ["Try again. If it stays so, the server's store is damaged."],
  });
}
