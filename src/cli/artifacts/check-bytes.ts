import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readlinkSync, realpathSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { FolderManifest, type ManifestEntry } from "../../protocol/artifacts.ts";
import type { ArtifactVersion } from "../../protocol/resources.ts";
import { hashFile } from "../../std/hash-file.ts";
import { openContent } from "../api/artifacts.ts";
import type { ApiClient } from "../api/client.ts";
import { streamBody } from "../api/stream-body.ts";

/** What was found of bytes that were held against a digest: null where they are those, else what is different. */
export interface BytesCheck {
  readonly problem: string | null;
  /** What was hashed. */
  readonly files: number;
  readonly bytes: number;
}

/** A folder with more is none that was ever stored. */
const EXTRA_LOOKED_AT_MAX = 1_000_000;

/** A file of this machine. A link is followed: what counts is what it leads to. */
export async function checkLocalFile(path: string, digest: string): Promise<BytesCheck> {
  const real = realpathSync(path);
  const { digest: found, size } = await hashFile(real, lstatSync(real).size);
  const problem = found === digest ? null : `${path} has SHA-256 ${found}, not ${digest}`;
  return { problem, files: 1, bytes: size };
}

/** The bytes in the store, as whoever downloads them gets them; of a folder its manifest, and each of its files. */
export async function checkStored(api: ApiClient, artifact: ArtifactVersion, digest: string): Promise<BytesCheck> {
  const whole = await fetchHashed(api, artifact, null, artifact.kind === "folder");
  if (whole.digest !== digest) {
    const problem = `what is stored has SHA-256 ${whole.digest}, not ${digest}`;
    return { problem, files: 1, bytes: whole.size };
  }
  if (artifact.kind === "file") return { problem: null, files: 1, bytes: whole.size };
  let files = 0;
  let bytes = 0;
  for (const entry of manifestOf(whole.bytes)) {
    if (entry.kind !== "file") continue;
    const { digest: found, size } = await fetchHashed(api, artifact, entry.path, false);
    files++;
    bytes += size;
    if (found !== entry.digest) {
      return { problem: `${entry.path} has SHA-256 ${found}, not ${entry.digest}`, files, bytes };
    }
  }
  return { problem: null, files, bytes };
}

export async function fetchManifest(api: ApiClient, artifact: ArtifactVersion): Promise<Buffer> {
  return (await fetchHashed(api, artifact, null, true)).bytes;
}

/** A folder of this machine: its manifest is the one that was signed, and it has those files and links, and no others. */
export async function checkLocalFolder(path: string, manifest: Uint8Array, digest: string): Promise<BytesCheck> {
  const found = createHash("sha256").update(manifest).digest("hex");
  if (found !== digest) {
    return { problem: `the manifest has SHA-256 ${found}, not ${digest}`, files: 0, bytes: 0 };
  }
  const entries = manifestOf(manifest);
  let files = 0;
  let bytes = 0;
  for (const entry of entries) {
    const place = join(path, entry.path);
    const stat = lstatSync(place, { throwIfNoEntry: false });
    const problem = stat === undefined ? `${entry.path} is not there` : await entryProblem(place, stat, entry);
    if (entry.kind === "file" && problem === null) {
      files++;
      bytes += entry.size;
    }
    if (problem !== null) return { problem, files, bytes };
  }
  return { problem: extraProblem(path, entries), files, bytes };
}

async function entryProblem(
  place: string,
  stat: NonNullable<ReturnType<typeof lstatSync>>,
  entry: ManifestEntry,
): Promise<string | null> {
  if (entry.kind === "folder") return stat.isDirectory() ? null : `${entry.path} is no folder`;
  if (entry.kind === "link") {
    if (!stat.isSymbolicLink()) return `${entry.path} is no link`;
    const target = readlinkSync(place);
    return target === entry.target ? null : `${entry.path} leads to ${target}, not to ${entry.target}`;
  }
  if (!stat.isFile()) return `${entry.path} is no file`;
  const { digest } = await hashFile(place, Number(stat.size));
  return digest === entry.digest ? null : `${entry.path} has SHA-256 ${digest}, not ${entry.digest}`;
}

/** What is in the folder and not in its manifest; folders that only lead to files are in no manifest. */
function extraProblem(root: string, entries: readonly ManifestEntry[]): string | null {
  const known = new Set(entries.flatMap(({ path }) => [path, ...parentsOf(path)]));
  const links = new Set(entries.flatMap(({ kind, path }) => (kind === "link" ? [path] : [])));
  let seen = 0;
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const path = relative(root, join(entry.parentPath, entry.name)).split(sep).join("/");
    if (!known.has(path)) return `${path} is in the folder, and was not signed`;
    if (entry.isSymbolicLink() && !links.has(path)) return `${path} is a link, and was not signed as one`;
    if (++seen > EXTRA_LOOKED_AT_MAX) return `the folder has more than ${EXTRA_LOOKED_AT_MAX} entries`;
  }
  return null;
}

function parentsOf(path: string): string[] {
  const parts = path.split("/");
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join("/"));
}

function manifestOf(bytes: Uint8Array): readonly ManifestEntry[] {
  return FolderManifest.parse(JSON.parse(Buffer.from(bytes).toString("utf8"))).entries;
}

interface Fetched {
  readonly digest: string;
  readonly size: number;
  /** Empty unless they were to be kept. */
  readonly bytes: Buffer;
}

async function fetchHashed(
  api: ApiClient,
  artifact: ArtifactVersion,
  path: string | null,
  keeps: boolean,
): Promise<Fetched> {
  const abort = new AbortController();
  const response = await openContent(api, artifact, path, abort.signal);
  const hash = createHash("sha256");
  const kept: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of streamBody(response, abort.signal)) {
    hash.update(chunk);
    size += chunk.length;
    if (keeps) kept.push(chunk);
  }
  return { digest: hash.digest("hex"), size, bytes: Buffer.concat(kept) };
}
