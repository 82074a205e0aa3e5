import { constants, lstatSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
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

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
const FILE_MODE = 0o644;

/** Fetches a large file artifact behind what is there of it. False when its bytes are others than were stored. */
export async function fetchLarge(artifact: ArtifactVersion, options: FetchLargeOptions): Promise<boolean> {
  const { partial, retrying } = options;
  removeForeign(partial);
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
  if (start === 0) rmSync(partial, { force: true });
  const flags = O_WRONLY | O_NOFOLLOW | (start === 0 ? O_CREAT | O_EXCL : 0);
  const file = await open(partial, flags, FILE_MODE).catch((error: unknown) => {
    abort.abort();
    throw error;
  });
  await pipeline(
    Readable.from(streamBody(response, abort.signal)),
    async function* (chunks: AsyncIterable<Uint8Array>) {
      for await (const chunk of chunks) {
        at += chunk.length;
        onProgress(at);
        yield chunk;
      }
    },
    file.createWriteStream({ start }),
  );
}

/**
 * The name is one that others can foresee, and the folder may be one that they write to: a link would lead elsewhere, and
 * what somebody else has open may change after it was hashed.
 */
function removeForeign(path: string): void {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined || (stats.isFile() && stats.nlink === 1 && stats.uid === process.getuid?.())) return;
  rmSync(path, { force: true });
}

function sizeOf(path: string): number {
  return lstatSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
