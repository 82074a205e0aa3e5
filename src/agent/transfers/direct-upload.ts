import { createReadStream } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { BerthError } from "../../protocol/errors.ts";
import type { DirectRequest, PartToSend, UploadState } from "../../protocol/transfers.ts";
import type { LocalFile } from "../../runtime/upload-through-server.ts";
import { type PartDigest, PartDigests } from "../../std/part-digests.ts";
import type { Permits } from "../../std/permits.ts";
import { backoffMs } from "../retry.ts";
import { type StoreConnections, StoreRefusal } from "./store-request.ts";

/** Read ahead of the network, for each part under way. */
const READ_BYTES = 512 * 1024;
/** Tries of one part, each with a new request, before the store counts as not usable from here. */
const PART_TRIES_MAX = 5;

export interface DirectUploadOptions {
  readonly connections: StoreConnections;
  /** Parts at once, over all transfers of the agent. */
  readonly permits: Permits;
  readonly signal: AbortSignal;
  /** Asks the server for a signed request, however often it takes. */
  request(upload: string, part: PartToSend): Promise<DirectRequest>;
}

/**
 * Sends what the store does not have of a file, in parts, several at once, and returns all of them for the server to
 * check. A part that the store has with the same MD5, as from an earlier process of this agent, is not sent again.
 * Throws a StoreRefusal when the store cannot be used.
 */
export async function uploadDirectly(
  file: LocalFile,
  { upload, partBytes, parts }: Extract<UploadState, { readonly way: "direct" }>,
  options: DirectUploadOptions,
): Promise<PartToSend[]> {
  const stored = new Map(parts.map((part) => [part.number, part]));
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const sent: PartToSend[] = [];
  const sending: Promise<void>[] = [];
  await using digests = new PartDigests(file.path, partBytes);
  try {
    for (let part = await digests.next(); part !== null; part = await digests.next()) {
      const { number, size, md5 } = part;
      sent.push({ number, size, md5 });
      const known = stored.get(number);
      if (known?.size === size && known.md5 === md5) continue;
      const permit = await options.permits.acquire();
      const done = sendPart(file, upload, part, { ...options, signal }).finally(() => permit[Symbol.dispose]());
      done.catch((error: unknown) => stop.abort(error));
      sending.push(done);
      signal.throwIfAborted();
    }
    await Promise.all(sending);
  } catch (error) {
    stop.abort(error);
    await Promise.allSettled(sending);
    options.signal.throwIfAborted();
    throw stop.signal.reason;
  }
  checkWhole(file, digests.whole);
  return sent;
}

async function sendPart(
  { path }: LocalFile,
  upload: string,
  { number, start, size, md5 }: PartDigest,
  { connections, request, signal }: DirectUploadOptions,
): Promise<void> {
  for (let failures = 0; ; ) {
    const signed = await request(upload, { number, size, md5 });
    const bytes =
      size === 0
        ? new Uint8Array(0)
        : createReadStream(path, { start, end: start + size - 1, highWaterMark: READ_BYTES });
    try {
      return await connections.put(signed, bytes, signal);
    } catch (error) {
      failures += 1;
      if (!(error instanceof StoreRefusal) || failures >= PART_TRIES_MAX) throw error;
      await sleep(backoffMs(failures), undefined, { signal });
    } finally {
      if (!(bytes instanceof Uint8Array)) bytes.destroy();
    }
  }
}

/** The parts were hashed in the same read, so what the store has by now is what the digest says, or nothing is finished. */
function checkWhole(file: LocalFile, whole: { readonly digest: string; readonly size: number }): void {
  if (whole.digest === file.digest && whole.size === file.size) return;
  throw new BerthError("digest_mismatch", `The blob ${file.digest} on this worker's disk has other bytes by now.`, {
    advice: "Its disk is damaged, or something changed a file of the agent's cache.",
  });
}
