import { z } from "zod";
import type { Content, ManifestEntry } from "../protocol/artifacts.ts";
import { errnoOf } from "../std/errno.ts";
import { forEachLimit } from "../std/for-each-limit.ts";
import { TimeSlice } from "../std/time-slice.ts";
import { entryError, makeOpenFolder, TreeWriter, UnsafeEntryError } from "../std/tree-writer.ts";
import type { BlobSource } from "./attempt-work.ts";
import { readManifest } from "./folder-manifest.ts";
import { InputInvalidError } from "./input-invalid-error.ts";
import { placeFile } from "./place-file.ts";

/** Blobs of one folder that are fetched at once where they are not on the worker yet. */
const FETCHES_AT_ONCE = 8;
/** Entries whose small files are fetched together: far below what a cache could evict before they are placed. */
const PREFETCHED_AT_ONCE = 8_000;
/** A blob may be evicted by another process between "it is here" and its use; not again and again. */
const PLACE_ATTEMPTS_MAX = 3;

export interface Staging {
  readonly cache: BlobSource;
  /** Whether staged files may share storage with the cache. */
  readonly share: boolean;
  readonly signal: AbortSignal;
}

/** Puts an artifact at `target`, which must not exist: the file itself, or the folder with all that is in it. */
export async function stageContent(staging: Staging, content: Content, target: string): Promise<void> {
  if (content.kind === "folder") return await stageFolder(staging, content, target, null);
  await stageBlob(staging, content, target, false);
}

/** Puts a folder artifact at `target`: all of it, or only the files and links at these paths. */
export async function stageFolder(
  staging: Staging,
  content: Content,
  target: string,
  only: ReadonlySet<string> | null,
): Promise<void> {
  makeOpenFolder(target);
  const entries = await entriesOf(staging, content, only);
  try {
    await placeEntries(staging, entries, target);
  } catch (error) {
    if (!(error instanceof UnsafeEntryError)) throw error;
    throw new InputInvalidError(`The folder artifact ${content.fileName} cannot be used: ${error.message}`);
  }
}

async function entriesOf(staging: Staging, content: Content, only: ReadonlySet<string> | null) {
  try {
    const { entries } = await readManifest(staging.cache, content, staging.signal);
    return only === null ? entries : entries.filter((entry) => entry.kind !== "folder" && only.has(entry.path));
  } catch (error) {
    if (!(error instanceof z.ZodError || error instanceof SyntaxError)) throw error;
    throw new InputInvalidError(`The manifest of the folder artifact ${content.fileName} is damaged: ${error.message}`);
  }
}

async function placeEntries(staging: Staging, entries: readonly ManifestEntry[], target: string): Promise<void> {
  const tree = new TreeWriter(target);
  const slice = new TimeSlice();
  for (let start = 0; start < entries.length; start += PREFETCHED_AT_ONCE) {
    const part = entries.slice(start, start + PREFETCHED_AT_ONCE);
    await staging.cache.prefetch(
      part.filter((entry) => entry.kind === "file"),
      staging.signal,
    );
    await forEachLimit(part, FETCHES_AT_ONCE, async (entry) => {
      await slice.breathe();
      if (entry.kind === "folder") tree.folder(entry.path);
      else if (entry.kind === "link") tree.link(entry.path, entry.target);
      else await stageBlob(staging, entry, tree.file(entry.path), (entry.mode & 0o100) !== 0, entry.path);
    });
  }
  tree.finish();
}

async function stageBlob(
  staging: Staging,
  blob: { readonly digest: string; readonly size: number },
  target: string,
  executable: boolean,
  name = target,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const path = await staging.cache.ensure(blob.digest, blob.size, staging.signal);
    try {
      return await placeFile(path, target, { share: staging.share, executable, size: blob.size });
    } catch (error) {
      if (errnoOf(error) !== "ENOENT" || attempt === PLACE_ATTEMPTS_MAX) throw entryError(name, error);
    }
  }
}
