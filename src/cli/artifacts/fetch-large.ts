import { createWriteStream, rmSync, statSync } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ArtifactVersion } from "../../protocol/resources.ts";
import { hashFile } from "../../std/hash-file.ts";
import { openContent } from "../api/artifacts.ts";
import type { ApiClient } from "../api/client.ts";
import { streamBody } from "../api/stream-body.ts";

export interface FetchLargeOptions {
  readonly api: ApiClient;
  /** What is there of it, from an earlier call or command, and stays when this one fails. */
  readonly partial: string;
  /** Does again what failed for want of a connection. */
  readonly retrying: <T>(work: () => Promise<T>) => Promise<T>;
  /** Hears how many bytes are there, as they come. */
  readonly onProgress: (bytes: number) => void;
}

/** Fetches a large file artifact behind what is there of it. False when its bytes are others than were stored. */
export async function fetchLarge(artifact: ArtifactVersion, options: FetchLargeOptions): Promise<boolean> {
  const { partial, retrying } = options;
  const before = sizeOf(partial);
  await retrying(() => fetchRest(artifact, options));
  const { digest } = await hashFile(partial, artifact.size);
  if (digest === artifact.digest) return true;
  rmSync(partial, { force: true });
  // What was left of an earlier command may be of anything.
  return before > 0 ? await fetchLarge(artifact, options) : false;
}

async function fetchRest(artifact: ArtifactVersion, { api, partial, onProgress }: FetchLargeOptions): Promise<void> {
  const left = sizeOf(partial);
  const from = left <= artifact.size ? left : 0;
  onProgress(from);
  if (from === artifact.size && from > 0) return;
  const abort = new AbortController();
  const response = await openContent(api, artifact, null, abort.signal, from);
  // A server that does not go on begins again.
  const start = response.status === 206 ? from : 0;
  let at = start;
  await pipeline(
    Readable.from(streamBody(response, abort.signal)),
    async function* (chunks: AsyncIterable<Uint8Array>) {
      for await (const chunk of chunks) {
        at += chunk.length;
        onProgress(at);
        yield chunk;
      }
    },
    createWriteStream(partial, start > 0 ? { flags: "r+", start } : { flags: "w", mode: 0o644 }),
  );
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
