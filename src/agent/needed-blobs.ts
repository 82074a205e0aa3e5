import { readFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { MANIFEST_MAX_BYTES } from "../protocol/artifacts.ts";
import type { BlobFolder } from "../runtime/blob-folder.ts";
import { errnoOf } from "../std/errno.ts";
import { listRunFolders } from "./run-folder.ts";

const DIGEST = /\b[0-9a-f]{64}\b/g;
/** How a folder's manifest begins. */
const MANIFEST = Buffer.from('{"entries":[');

/**
 * Every blob that a run on this worker may still need: all that its journal names, whatever for, and what the folders
 * among them are made of. A result is in the journal before anything else is done with it, and the journal stays until the
 * server has acknowledged all of the run, so nothing that is still to be uploaded is missed.
 */
export async function neededBlobs(home: string, blobs: BlobFolder): Promise<Set<string>> {
  const needed = journaledDigests(home);
  for (const digest of [...needed]) {
    const stats = blobs.find(digest, null);
    if (stats === null || stats.size > MANIFEST_MAX_BYTES || !(await isManifest(blobs.pathOf(digest)))) continue;
    for (const file of digestsIn(blobs.pathOf(digest))) needed.add(file);
  }
  return needed;
}

/** All that the journals of the runs on this worker name by SHA-256: blobs, and the images that the runs are fixed on. */
export function journaledDigests(home: string): Set<string> {
  const journals = listRunFolders(home).map((folder) => join(folder, "journal.jsonl"));
  return new Set(journals.flatMap((file) => [...digestsIn(file)]));
}

function digestsIn(file: string): Iterable<string> {
  try {
    return readFileSync(file, "latin1").match(DIGEST) ?? [];
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  }
}

async function isManifest(path: string): Promise<boolean> {
  try {
    await using file = await open(path);
    const { buffer } = await file.read(Buffer.alloc(MANIFEST.length), 0, MANIFEST.length, 0);
    return buffer.equals(MANIFEST);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw error;
  }
}
