import { closeSync, createReadStream, fchmodSync, lstatSync, openSync, renameSync, writeSync } from "node:fs";
import { mkdir, mkdtemp } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { constants, createZstdDecompress } from "node:zlib";
import { type Fault, fault } from "../protocol/faults.ts";
import { errnoOf } from "../std/errno.ts";
import { removeTree } from "../std/remove-tree.ts";
import { isSinceBoot } from "../std/since-boot.ts";
import { readTar, type TarEntry, TarFormatError } from "../std/tar.ts";
import { TimeSlice } from "../std/time-slice.ts";
import { entryError, makeOpenFolder, TreeWriter, UnsafeEntryError } from "../std/tree-writer.ts";
import { SOURCE_LIMITS, type SourceLimits } from "./source-limits.ts";

/** 8 MiB of history: what the packer's level uses, and all the memory that a hostile archive can make us take. */
const ZSTD_WINDOW_LOG_MAX = 23;

/** An archive that is damaged or was made to do harm. */
export class SourceRefusedError extends Error {
  override readonly name = "SourceRefusedError";
  readonly fault: Fault;

  constructor(why: string, options: ErrorOptions = {}) {
    super(`The source archive is refused: ${why}`, options);
    this.fault = fault("spec-invalid", this.message, {
      advice: "Submit the run again; its source was packed otherwise.",
    });
  }
}

/**
 * Unpacks a source archive, whose digest was checked, to `target`, and returns that. Whole or not at all: a target that
 * is there is complete and is used as it is, unless it dates from before the machine's last start. Several processes
 * may do so at once. Throws SourceRefusedError; nothing is ever written outside of the target.
 */
export async function unpackSource(
  archive: string,
  target: string,
  options: { readonly limits?: SourceLimits; readonly signal?: AbortSignal } = {},
): Promise<string> {
  const present = lstatSync(target, { throwIfNoEntry: false });
  if (present !== undefined && isSinceBoot(present.ctimeMs)) return target;
  await mkdir(dirname(target), { recursive: true });
  const partial = await mkdtemp(`${target}.partial-`);
  try {
    const folder = join(partial, "source");
    makeOpenFolder(folder);
    await extract(archive, folder, options.limits ?? SOURCE_LIMITS, options.signal);
    if (present !== undefined) await removeTree(target);
    moveInto(folder, target);
    return target;
  } catch (error) {
    throw refusal(error);
  } finally {
    await removeTree(partial);
  }
}

function moveInto(folder: string, target: string): void {
  try {
    renameSync(folder, target);
  } catch (error) {
    // Another process was quicker with the same archive.
    if (errnoOf(error) !== "ENOTEMPTY" && errnoOf(error) !== "EEXIST") throw error;
  }
}

async function extract(archive: string, folder: string, limits: SourceLimits, signal: AbortSignal | undefined) {
  await pipeline(
    createReadStream(archive),
    createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX } }),
    (tar: AsyncIterable<Uint8Array>) => writeEntries(readTar(limited(tar, limits)), folder, limits),
    ...(signal === undefined ? [] : [{ signal }]),
  );
}

/** Headers and padding count too, so that an archive of nothing but headers ends as well. */
async function* limited(tar: AsyncIterable<Uint8Array>, limits: SourceLimits): AsyncGenerator<Uint8Array> {
  const bytesMax = limits.unpackedBytesMax + limits.entriesMax * 4096;
  let bytes = 0;
  for await (const chunk of tar) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new SourceRefusedError(`it unpacks to more than ${limits.unpackedBytesMax} bytes`);
    yield chunk;
  }
}

async function writeEntries(entries: ReturnType<typeof readTar>, folder: string, limits: SourceLimits): Promise<void> {
  const tree = new TreeWriter(folder);
  const slice = new TimeSlice();
  let count = 0;
  let bytes = 0;
  for await (const { entry, body } of entries) {
    await slice.breathe();
    bytes += entry.kind === "file" ? entry.size : 0;
    if (++count > limits.entriesMax) throw new SourceRefusedError(`it holds more than ${limits.entriesMax} entries`);
    if (bytes > limits.unpackedBytesMax) {
      throw new SourceRefusedError(`it unpacks to more than ${limits.unpackedBytesMax} bytes`);
    }
    if (entry.kind === "folder") tree.folder(entry.path);
    else if (entry.kind === "link") tree.link(entry.path, entry.target);
    else await writeFile(tree.file(entry.path), entry, body);
  }
  tree.finish();
}

async function writeFile(target: string, entry: Extract<TarEntry, { kind: "file" }>, body: AsyncIterable<Uint8Array>) {
  const fd = openNew(target, entry);
  try {
    fchmodSync(fd, entry.executable ? 0o755 : 0o644);
    for await (const chunk of body) {
      for (let written = 0; written < chunk.length; ) written += writeSync(fd, chunk, written);
    }
  } finally {
    closeSync(fd);
  }
}

function openNew(target: string, entry: Extract<TarEntry, { kind: "file" }>): number {
  try {
    return openSync(target, "wx");
  } catch (error) {
    throw entryError(entry.path, error);
  }
}

/** What the archive is to blame for, apart from what the worker is. */
function refusal(error: unknown): unknown {
  if (error instanceof UnsafeEntryError || error instanceof TarFormatError) {
    return new SourceRefusedError(error.message, { cause: error });
  }
  const code = errnoOf(error);
  if (code?.startsWith("ZSTD_error") || code === "Z_BUF_ERROR") {
    return new SourceRefusedError(`its compression is damaged (${(error as Error).message})`, { cause: error });
  }
  return error;
}
