import { createHash } from "node:crypto";
import { BerthError } from "../../protocol/errors.ts";
import type { DirectTransfers, StoredPart } from "./direct-transfers.ts";
import type { ObjectStore } from "./object-store.ts";
import type { AppendedBytes, ResumableWrites } from "./resumable-writes.ts";
import { wrongOffset } from "./wrong-offset.ts";

const MiB = 1024 * 1024;
/** Held in memory until it is sent on, for each upload under way; stores take no smaller ones than 5 MiB. */
const PART_BYTES = 8 * MiB;
const EXPIRES_MS = 5 * 60_000;
/** For one part on its way from server to store. */
const PART_TIMEOUT_MS = 2 * 60_000;

/** How a store is written to bit by bit through this server; null where it cannot be. */
export function resumableWritesOf(store: ObjectStore): ResumableWrites | null {
  return store.resumable ?? (store.direct === null ? null : relayedWrites(store.direct, store.place));
}

/**
 * Writes to a store that takes parts, for senders that cannot reach it: the server sends the parts. What is kept are
 * whole parts; of a part that was cut the sender sends all again.
 */
function relayedWrites(direct: DirectTransfers, place: string): ResumableWrites {
  return {
    begin: async (key) => await direct.beginParts(key),
    written: async (key, reference) => {
      const parts = await listParts(direct, key, reference);
      return parts === null ? null : sizeOf(parts);
    },
    append: async (key, reference, append) => {
      const parts = await listParts(direct, key, reference);
      if (parts === null) throw new BerthError("not_found", "There is no such unfinished upload any more.");
      if (sizeOf(parts) !== append.offset) throw wrongOffset(sizeOf(parts));
      return await appendParts(direct, { key, reference, place, next: parts.length + 1 }, append);
    },
    finish: async (key, reference) =>
      await direct.completeParts(key, reference, await direct.listParts(key, reference)),
    abort: async (key, reference) => await direct.abortParts(key, reference),
  };
}

interface Target {
  readonly key: string;
  readonly reference: string;
  readonly place: string;
  /** Number of the first part to be sent. */
  readonly next: number;
}

async function appendParts(direct: DirectTransfers, target: Target, append: AppendedBytes): Promise<number> {
  const { size, bytes, onKept } = append;
  const partBytes = Math.max(PART_BYTES, direct.partMinBytes, Math.ceil(size / direct.partsMax / MiB) * MiB);
  let end = append.offset;
  let number = target.next;
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  const send = async () => {
    const part = Buffer.concat(held);
    held = [];
    heldBytes = 0;
    await sendPart(direct, target, number, part);
    number += 1;
    end += part.length;
    onKept(part);
  };
  for await (const chunk of bytes) {
    held.push(chunk);
    heldBytes += chunk.length;
    if (heldBytes >= partBytes) await send();
  }
  // Only the last part of all may be a short one: what is too short now is sent again by the next append.
  if (heldBytes > 0 && (end + heldBytes === size || heldBytes >= direct.partMinBytes)) await send();
  return end;
}

async function sendPart(direct: DirectTransfers, target: Target, number: number, part: Buffer): Promise<void> {
  const { key, reference, place } = target;
  const md5 = createHash("md5").update(part).digest("base64");
  const request = await direct.partUrl(key, reference, number, { size: part.length, md5, expiresInMs: EXPIRES_MS });
  let answer: Response;
  try {
    const signal = AbortSignal.timeout(PART_TIMEOUT_MS);
    answer = await fetch(request.url, { method: request.method, headers: request.headers, body: part, signal });
    await answer.body?.cancel();
  } catch (error) {
    throw new BerthError("unavailable", `The ${place} did not take a part of an upload.`, { cause: error });
  }
  if (answer.ok) return;
  throw new BerthError("unavailable", `The ${place} answered ${answer.status} to a part of an upload.`, {
    advice: "The store's own log says why.",
  });
}

/** Parts from the first to the last that follow each other. */
async function listParts(direct: DirectTransfers, key: string, reference: string): Promise<StoredPart[] | null> {
  try {
    const parts = await direct.listParts(key, reference);
    const gap = parts.findIndex(({ number }, index) => number !== index + 1);
    return gap === -1 ? parts : parts.slice(0, gap);
  } catch (error) {
    if (error instanceof BerthError && error.code === "gone") return null;
    throw error;
  }
}

function sizeOf(parts: readonly StoredPart[]): number {
  return parts.reduce((sum, { size }) => sum + size, 0);
}
