import { hash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import type { ArtifactVersion } from "../../protocol/resources.ts";
import { ByteReader } from "../../std/byte-reader.ts";
import { formatSize } from "../../std/format-size.ts";
import { TimeSlice } from "../../std/time-slice.ts";
import { entryError, TreeWriter } from "../../std/tree-writer.ts";
import { openFiles } from "../api/artifacts.ts";
import type { ApiClient } from "../api/client.ts";
import { ServerUnreachable } from "../api/no-answer.ts";
import { streamBody } from "../api/stream-body.ts";
import { CliError } from "../cli-error.ts";
import type { FileEntry, Selection } from "./select-entries.ts";
import { damagedFile, writeVerified } from "./write-verified.ts";

/** Up to this a file is written in one piece. */
const WHOLE_MAX_BYTES = 256 * 1024;
/** Times that an answer may break off with nothing more of it written before the server is given up. */
const FRUITLESS_MAX = 3;
const FILE_MODE = 0o644;
const EXECUTABLE_MODE = 0o755;

export interface FolderOrder {
  readonly api: ApiClient;
  readonly artifact: ArtifactVersion;
  readonly selection: Selection;
  /** Which part of the artifact that is; null for all of it. */
  readonly under: string | null;
}

/**
 * Writes the entries of a folder artifact to `target`, which must not exist. Their bytes come in one answer, however many
 * files there are; one that breaks off is gone on with at the file where it did.
 */
export async function fetchFolder(order: FolderOrder, target: string): Promise<void> {
  const { entries } = order.selection;
  const files = entries.filter((entry) => entry.kind === "file");
  await requireRoom(dirname(target), files);
  mkdirSync(target);
  const tree = new TreeWriter(target);
  for (const entry of entries) {
    if (entry.kind === "folder") tree.folder(entry.path);
    else if (entry.kind === "link") tree.link(entry.path, entry.target);
  }
  for (let done = 0, fruitless = 0; done < files.length; ) {
    const before = done;
    try {
      for await (const _ of writeFiles(order, tree, files, done)) done += 1;
    } catch (error) {
      fruitless = done === before ? fruitless + 1 : 0;
      if (!(error instanceof ServerUnreachable) || fruitless === FRUITLESS_MAX) throw error;
    }
  }
  tree.finish();
}

/** A manifest may promise more than any disk holds: that is found out before it is written. */
async function requireRoom(folder: string, files: readonly FileEntry[]): Promise<void> {
  const needed = files.reduce((sum, { size }) => sum + size, 0);
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (needed <= free) return;
  throw new CliError(`The folder has ${formatSize(needed)}, and the disk has room for ${formatSize(free)}.`, {
    advice: ["Choose another folder with --output, or only a part of it with --path."],
  });
}

/** Yields for each file that was written, from the one at `skip` on. */
async function* writeFiles(
  { api, artifact, under }: FolderOrder,
  tree: TreeWriter,
  files: readonly FileEntry[],
  skip: number,
): AsyncGenerator<void> {
  const abort = new AbortController();
  const response = await openFiles(api, artifact, { under, skip }, abort.signal);
  const reader = new ByteReader(streamBody(response, abort.signal));
  const slice = new TimeSlice();
  try {
    for (const file of files.slice(skip)) {
      await slice.breathe();
      await writeFile(reader, tree.file(file.path), file);
      yield;
    }
  } finally {
    abort.abort();
  }
}

async function writeFile(reader: ByteReader, target: string, { path, size, digest, mode }: FileEntry): Promise<void> {
  const options = { flag: "wx", mode: (mode & 0o100) === 0 ? FILE_MODE : EXECUTABLE_MODE };
  try {
    if (size > WHOLE_MAX_BYTES)
      return await writeVerified(reader.stream(size), target, { path, digest, mode: options.mode });
    const bytes = await reader.read(size);
    if (bytes.length !== size || hash("sha256", bytes) !== digest) throw damagedFile(path, digest);
    writeFileSync(target, bytes, options);
  } catch (error) {
    throw entryError(path, error);
  }
}
