import { lstatSync, readFileSync } from "node:fs";
import { z } from "zod";
import { type Content, FolderManifest, ManifestEntry } from "../protocol/artifacts.ts";
import { TimeSlice } from "../std/time-slice.ts";
import type { BlobSource } from "./attempt-work.ts";

/** Modes that an artifact keeps: whether its owner may execute a file is all that travels. */
export const FILE_MODE = 0o644;
export const EXECUTABLE_MODE = 0o755;
export const FOLDER_MODE = 0o755;

/**
 * The manifest's bytes, in pieces: canonical JSON (keys in alphabetical order, entries by path, no white space), so
 * that equal folders have equal digests. In pieces, because a large manifest is never one string.
 */
export function* manifestText(entries: readonly ManifestEntry[]): Generator<string> {
  const sorted = [...entries].sort((left, right) => (left.path < right.path ? -1 : 1));
  yield '{"entries":[';
  for (const [index, entry] of sorted.entries()) yield `${index === 0 ? "" : ","}${entryText(entry)}`;
  yield '],"schema":1}';
}

function entryText(entry: ManifestEntry): string {
  const { kind, path } = entry;
  if (entry.kind === "folder") return JSON.stringify({ kind, mode: entry.mode, path });
  if (entry.kind === "link") return JSON.stringify({ kind, path, target: entry.target });
  return JSON.stringify({ digest: entry.digest, kind, mode: entry.mode, path, size: entry.size });
}

/** The manifest of a folder artifact. */
export async function readManifest(cache: BlobSource, content: Content, signal?: AbortSignal): Promise<FolderManifest> {
  const path = await cache.ensure(content.digest, null, signal);
  return await parseManifest(readFileSync(path, "utf8"));
}

/** Checks the entries one by one and in their place: checked as a whole, a large manifest would be in memory twice. */
async function parseManifest(text: string): Promise<FolderManifest> {
  const { schema, entries } = AnyManifest.parse(JSON.parse(text));
  const slice = new TimeSlice();
  for (const [index, entry] of entries.entries()) {
    entries[index] = ManifestEntry.parse(entry);
    await slice.breathe();
  }
  return { schema, entries: entries as ManifestEntry[] };
}

const AnyManifest = FolderManifest.extend({ entries: z.array(z.unknown()) });

/** A blob that belongs to an artifact; a manifest's own size is what it has on this worker. */
export interface OwnBlob {
  readonly digest: string;
  readonly size: number;
}

/** Every blob that a content consists of, each once: what has to be uploaded, held, or fetched for it. */
export async function blobsOf(cache: BlobSource, content: Content, signal?: AbortSignal): Promise<OwnBlob[]> {
  if (content.kind === "file") return [{ digest: content.digest, size: content.size }];
  const path = await cache.ensure(content.digest, null, signal);
  const blobs = new Map([[content.digest, lstatSync(path).size]]);
  for (const entry of (await readManifest(cache, content, signal)).entries) {
    if (entry.kind === "file") blobs.set(entry.digest, entry.size);
  }
  return Array.from(blobs, ([digest, size]) => ({ digest, size }));
}
