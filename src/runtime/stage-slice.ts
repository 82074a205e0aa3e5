import { chmodSync, createReadStream, createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import type { BatchSlice, StagedInput } from "./attempt-work.ts";
import { BLOB_MODE } from "./place-file.ts";
import { type Staging, stageFolder } from "./stage-content.ts";

const READ_CHUNK_BYTES = 256 * 1024;

/** Puts one batch item's share of the input at `target`: a file of its own, or a folder with its files. */
export async function stageSlice(
  staging: Staging,
  { content, slice }: Extract<StagedInput, { kind: "batch-item" }>,
  target: string,
): Promise<void> {
  if (slice.kind === "files") return await stageFolder(staging, content, target, new Set(slice.paths));
  const blob = await staging.cache.ensure(content.digest, content.size, staging.signal);
  await pipeline(bytesOf(blob, slice), createWriteStream(target, { flags: "wx" }), { signal: staging.signal });
  chmodSync(target, BLOB_MODE);
}

async function* bytesOf(blob: string, slice: Extract<BatchSlice, { kind: "bytes" }>): AsyncGenerator<Uint8Array> {
  if (slice.prefix !== "") yield Buffer.from(slice.prefix);
  if (slice.end > slice.start) {
    yield* createReadStream(blob, { start: slice.start, end: slice.end - 1, highWaterMark: READ_CHUNK_BYTES });
  }
  if (slice.suffix !== "") yield Buffer.from(slice.suffix);
}
