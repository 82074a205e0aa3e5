import { lstatSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { FolderManifest, type ManifestEntry } from "../../protocol/artifacts.ts";
import type { ArtifactVersion } from "../../protocol/resources.ts";
import { UPLOAD_MIN_BYTES } from "../../protocol/transfers.ts";
import { relativePathProblem } from "../../std/relative-path.ts";
import { UnsafeEntryError } from "../../std/tree-writer.ts";
import { openContent } from "../api/artifacts.ts";
import type { ApiClient } from "../api/client.ts";
import { streamBody } from "../api/stream-body.ts";
import { CliError, usageError } from "../cli-error.ts";
import { fetchFolder } from "./fetch-folder.ts";
import { fetchLarge } from "./fetch-large.ts";
import { selectEntries } from "./select-entries.ts";
import { writeVerified } from "./write-verified.ts";

export interface DownloadOptions {
  readonly api: ApiClient;
  /** Folder that gets the artifact; it exists. */
  readonly folder: string;
  /** Whether what is there may be replaced. */
  readonly overwrite: boolean;
  /** Only this file or folder of a folder artifact, normalised; null for all of it. */
  readonly part?: string | null;
  /** Does again what failed for want of a connection; default: does it once. */
  readonly retrying?: <T>(work: () => Promise<T>) => Promise<T>;
  /** Hears how many bytes of a large file are there, as they come. */
  readonly onProgress?: (bytes: number) => void;
}

export interface Downloaded {
  /** Where it lies. */
  readonly path: string;
  readonly size: number;
  /** Links that lead out of the part that was asked for. */
  readonly leftOut: readonly string[];
}

const FILE_MODE = 0o644;
const EXECUTABLE_MODE = 0o755;

/**
 * Downloads one item of an artifact version, or a part of it. The bytes are checked against their SHA-256; it appears
 * under its name only when all of it is there and right.
 */
export async function downloadArtifact(artifact: ArtifactVersion, options: DownloadOptions): Promise<Downloaded> {
  const { folder, overwrite, part = null } = options;
  const target = join(folder, oneName(part === null ? artifact.fileName : basename(part)));
  if (!overwrite && isThere(target)) throw usageError(`${target} exists already.`, "--force replaces it.");
  if (artifact.kind === "file" && part === null && artifact.size >= UPLOAD_MIN_BYTES) {
    return await downloadLarge(artifact, target, options);
  }
  // Beside the target, so that the last rename stays within one file system.
  const staging = mkdtempSync(join(folder, ".berth-download-"));
  try {
    const staged = join(staging, "content");
    const { path, size, leftOut } = await fetchInto(staged, artifact, part, options.api);
    if (overwrite) rmSync(target, { recursive: true, force: true });
    renameSync(path, target);
    return { path: target, size, leftOut };
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

/** What is there of it stays when it fails or is interrupted: the next command goes on with it. */
async function downloadLarge(
  artifact: ArtifactVersion,
  target: string,
  { api, folder, overwrite, retrying = (work) => work(), onProgress = () => {} }: DownloadOptions,
): Promise<Downloaded> {
  const partial = join(folder, `.berth-${artifact.digest.slice(0, 32)}.partial`);
  if (!(await fetchLarge(artifact, { api, partial, retrying, onProgress }))) {
    throw new CliError(
      `The bytes of ${artifact.fileName} are not those that were stored: their SHA-256 is not ${artifact.digest}.`,
      { advice: ["Try again. If it stays so, the server's store is damaged."] },
    );
  }
  if (overwrite) rmSync(target, { recursive: true, force: true });
  renameSync(partial, target);
  return { path: target, size: artifact.size, leftOut: [] };
}

/** The server promised a name without separators; it is checked all the same. */
export function oneName(fileName: string): string {
  const problem = fileName.includes("/") ? "it holds a separator" : relativePathProblem(fileName);
  if (problem !== null) throw new UnsafeEntryError(fileName, problem);
  return fileName;
}

/** A link counts, wherever it leads. */
function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

async function fetchInto(
  staged: string,
  artifact: ArtifactVersion,
  part: string | null,
  api: ApiClient,
): Promise<Downloaded> {
  if (artifact.kind === "file" && part !== null) {
    throw usageError(`${artifact.fileName} is a file, not a folder.`, "Get it without --path.");
  }
  await fetchContent({ api, artifact, path: null }, artifact, staged, FILE_MODE);
  if (artifact.kind === "file") return { path: staged, size: artifact.size, leftOut: [] };
  const manifest = readManifest(artifact, staged);
  const whole = `${staged}-whole`;
  const single = manifest.entries.find(({ kind, path }) => kind === "file" && path === part);
  if (single?.kind === "file") {
    const mode = (single.mode & 0o100) === 0 ? FILE_MODE : EXECUTABLE_MODE;
    await fetchContent({ api, artifact, path: single.path }, single, whole, mode);
    return { path: whole, size: single.size, leftOut: [] };
  }
  const selection = selectEntries(manifest, part);
  if (selection === null) throw noSuchPart(artifact, manifest, part!);
  await fetchFolder({ api, artifact, selection, under: part }, whole);
  const size = selection.entries.reduce((sum, entry) => sum + (entry.kind === "file" ? entry.size : 0), 0);
  return { path: whole, size, leftOut: selection.leftOut };
}

/** What the manifest names has to be what the artifact is said to be: nobody is to get more than was announced. */
function readManifest(artifact: ArtifactVersion, file: string): FolderManifest {
  const manifest = FolderManifest.parse(JSON.parse(readFileSync(file, "utf8")));
  const files = manifest.entries.filter((entry) => entry.kind === "file");
  const size = files.reduce((sum, entry) => sum + entry.size, 0);
  if (files.length === artifact.fileCount && size === artifact.size) return manifest;
  throw new CliError(
    `The folder ${artifact.fileName} names ${files.length} files of ${size} bytes, and not the ${artifact.fileCount} of ` +
      `${artifact.size} that it is said to have.`,
    { advice: ["Nothing was written. The server's store is damaged, or this is not Berth's server."] },
  );
}

/** Names in the error that says what there is. */
const NAMED_MAX = 10;

function noSuchPart({ fileName }: ArtifactVersion, { entries }: FolderManifest, part: string): CliError {
  const top = [...new Set(entries.map(({ path }: ManifestEntry) => path.split("/", 1)[0]!))].sort();
  const more = top.length > NAMED_MAX ? ` and ${top.length - NAMED_MAX} more` : "";
  const there = top.length === 0 ? "It is empty." : `It has: ${top.slice(0, NAMED_MAX).join(", ")}${more}.`;
  return usageError(`The folder ${fileName} has no ${part}.`, there);
}

async function fetchContent(
  { api, artifact, path }: { api: ApiClient; artifact: ArtifactVersion; path: string | null },
  { digest }: { readonly digest: string },
  target: string,
  mode: number,
): Promise<void> {
  const abort = new AbortController();
  const response = await openContent(api, artifact, path, abort.signal);
  const what = path === null ? artifact.fileName : `${artifact.fileName}/${path}`;
  await writeVerified(streamBody(response, abort.signal), target, { path: what, digest, mode });
}
