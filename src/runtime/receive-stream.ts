import { createHash } from "node:crypto";
import { createWriteStream, existsSync, rmSync, truncateSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import { type HashedBytes, hashFile } from "../std/hash-file.ts";
import { NOTES_SUFFIX } from "./blob-folder.ts";
import { receivedPrefix } from "./receive-parts.ts";

/** Writes a stream to a file, behind what is there of it already, and hashes the whole. */
export async function receiveStream(
  file: string,
  sizeMax: number,
  open: (from: number) => AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<HashedBytes> {
  const from = existsSync(file) ? cutToPrefix(file, sizeMax) : 0;
  const hash = createHash("sha256");
  let size = from;
  await pipeline(
    from < sizeMax || sizeMax === 0 ? open(from) : nothing(),
    async function* (source: AsyncIterable<Uint8Array>) {
      for await (const chunk of source) {
        size += chunk.length;
        // More than announced can only be wrong, and must not fill the disk.
        if (size > sizeMax) return;
        hash.update(chunk);
        yield chunk;
      }
    },
    createWriteStream(file, from > 0 ? { flags: "r+", start: from } : { flags: "w", mode: 0o600 }),
    { signal },
  );
  return from === 0 ? { digest: hash.digest("hex"), size } : await hashFile(file, size);
}

function cutToPrefix(file: string, sizeMax: number): number {
  const from = Math.min(receivedPrefix(file), sizeMax);
  truncateSync(file, from);
  rmSync(file + NOTES_SUFFIX, { force: true });
  return from;
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
