import { createHash } from "node:crypto";
import { closeSync, createReadStream, createWriteStream, openSync, readSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { constants, createZstdCompress } from "node:zlib";
import { BerthError } from "../protocol/errors.ts";
import type { SourceRef } from "../protocol/plan.ts";
import { TAR_END, type TarEntry, tarHeader, tarPadding } from "../std/tar.ts";
import { SOURCE_LIMITS, type SourceLimits } from "./source-limits.ts";
import { LEAVE_OUT_ADVICE, sourceFolderError, walkSource } from "./walk-source.ts";

/** Level 3 packs at 500 MB/s; higher ones gain a few per cent on source code. */
const ZSTD_LEVEL = 3;
/** Handed to the compressor at once: each hand-over costs more than packing a small file. */
const CHUNK_BYTES = 256 * 1024;

export interface PackedSource extends SourceRef {
  readonly entries: number;
  readonly unpackedBytes: number;
}

/**
 * Packs a source folder to `file`, as tar with zstd. Equal folders give equal bytes, and so the same digest: times and
 * owners are left out, and the order is fixed. Throws BerthError when the folder cannot be a source; `file` is then
 * gone.
 */
export async function packSource(
  folder: string,
  file: string,
  options: {
    readonly limits?: SourceLimits;
    readonly signal?: AbortSignal;
    /** Relative to the folder: only these files and folders, with the folders they lie in. By default all. */
    readonly paths?: readonly string[];
    /** Absolute path of a folder that is no part of it, wherever it lies. */
    readonly leaveOut?: string;
  } = {},
): Promise<PackedSource> {
  const limits = options.limits ?? SOURCE_LIMITS;
  try {
    const entries = walkSource(folder, { limits, paths: options.paths ?? ["."], leaveOut: options.leaveOut });
    const unpackedBytes = entries.reduce((sum, entry) => sum + (entry.kind === "file" ? entry.size : 0), 0);
    const packed = await writePacked(inChunks(tarOf(folder, entries)), file, limits, options.signal);
    return { ...packed, entries: entries.length, unpackedBytes };
  } catch (error) {
    await rm(file, { force: true });
    throw sourceFolderError(folder, error);
  }
}

async function writePacked(
  tar: AsyncIterable<Uint8Array>,
  file: string,
  limits: SourceLimits,
  signal: AbortSignal | undefined,
): Promise<SourceRef> {
  const hash = createHash("sha256");
  let size = 0;
  await pipeline(
    tar,
    createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL } }),
    async function* (packed: AsyncIterable<Uint8Array>) {
      for await (const chunk of packed) {
        size += chunk.length;
        if (size > limits.packedBytesMax) {
          const message = `The packed source is larger than ${limits.packedBytesMax} bytes`;
          throw new BerthError("payload_too_large", message, { advice: LEAVE_OUT_ADVICE });
        }
        hash.update(chunk);
        yield chunk;
      }
    },
    createWriteStream(file, { mode: 0o600 }),
    ...(signal === undefined ? [] : [{ signal }]),
  );
  return { digest: hash.digest("hex"), size };
}

async function* tarOf(folder: string, entries: readonly TarEntry[]): AsyncGenerator<Uint8Array> {
  for (const entry of entries) {
    yield tarHeader(entry);
    if (entry.kind === "file" && entry.size > 0) yield* contentOf(folder, entry);
  }
  yield TAR_END;
}

async function* inChunks(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let waiting: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of pieces) {
    waiting.push(piece);
    bytes += piece.length;
    if (bytes < CHUNK_BYTES) continue;
    yield Buffer.concat(waiting);
    waiting = [];
    bytes = 0;
  }
  yield Buffer.concat(waiting);
}

async function* contentOf(folder: string, entry: Extract<TarEntry, { kind: "file" }>): AsyncGenerator<Uint8Array> {
  let left = entry.size;
  // One byte more than announced would show that the file grew.
  for await (const chunk of readFrom(join(folder, entry.path), entry.size + 1)) {
    left -= chunk.length;
    yield chunk;
  }
  if (left !== 0) {
    const message = `${entry.path} changed while the source folder was being packed`;
    throw new BerthError("conflict", message, { advice: "Submit again when nothing writes to the folder." });
  }
  yield tarPadding(entry.size);
}

/** The beginning of a file: in one go where it is small, because a stream takes several round trips. */
function readFrom(path: string, maxBytes: number): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
  if (maxBytes > CHUNK_BYTES) return createReadStream(path, { end: maxBytes - 1, highWaterMark: CHUNK_BYTES });
  const fd = openSync(path, "r");
  try {
    const buffer = Buffer.allocUnsafe(maxBytes);
    let length = 0;
    for (let read = 1; read > 0 && length < maxBytes; length += read)
      read = readSync(fd, buffer, length, maxBytes - length, null);
    return [buffer.subarray(0, length)];
  } finally {
    closeSync(fd);
  }
}
