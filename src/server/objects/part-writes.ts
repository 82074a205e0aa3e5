import { BerthError } from "../../protocol/errors.ts";
import type { DirectTransfers, StoredPart } from "./direct-transfers.ts";
import type { AppendedBytes, ResumableWrites } from "./resumable-writes.ts";
import { unlessGone } from "./unless-gone.ts";
import { wrongOffset } from "./wrong-offset.ts";

const MiB = 1024 * 1024;
/** Held in memory until it is sent on, for each upload under way; stores take no smaller ones than 5 MiB. */
const PART_BYTES = 8 * MiB;

/** A store that takes uploads by parts, and how this server itself sends one. */
export type PartStore = Pick<DirectTransfers, "beginParts" | "listParts" | "completeParts" | "abortParts"> &
  Pick<DirectTransfers, "partMinBytes" | "partsMax"> & {
    sendPart(key: string, reference: string, number: number, part: Buffer): Promise<void>;
  };

/**
 * Writes to a store that takes parts, for senders that cannot reach it: the server sends the parts. What is kept are
 * whole parts; of a part that was cut the sender sends all again.
 */
export function writesByParts(store: PartStore): ResumableWrites {
  return {
    begin: async (key) => await store.beginParts(key),
    written: async (key, reference) => {
      const parts = await listParts(store, key, reference);
      return parts === null ? null : sizeOf(parts);
    },
    append: async (key, reference, append) => {
      const parts = await listParts(store, key, reference);
      if (parts === null) throw new BerthError("not_found", "There is no such unfinished upload any more.");
      if (sizeOf(parts) !== append.offset) throw wrongOffset(sizeOf(parts));
      return await appendParts(store, { key, reference, next: parts.length + 1 }, append);
    },
    finish: async (key, reference) => {
      const parts = await listParts(store, key, reference);
      const completed = async () => {
        await store.completeParts(key, reference, parts!);
        return true;
      };
      if (parts === null || !(await unlessGone(completed))) {
        throw new BerthError("not_found", "There is no such unfinished upload any more.");
      }
    },
    abort: async (key, reference) => await store.abortParts(key, reference),
  };
}

interface Target {
  readonly key: string;
  readonly reference: string;
  /** Number of the first part to be sent. */
  readonly next: number;
}

async function appendParts(
  store: PartStore,
  { key, reference, next }: Target,
  { size, offset, bytes, onKept }: AppendedBytes,
): Promise<number> {
  const partBytes = Math.max(PART_BYTES, store.partMinBytes, Math.ceil(size / store.partsMax / MiB) * MiB);
  let end = offset;
  let number = next;
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  const send = async () => {
    const part = Buffer.concat(held);
    held = [];
    heldBytes = 0;
    await store.sendPart(key, reference, number, part);
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
  if (heldBytes > 0 && (end + heldBytes === size || heldBytes >= store.partMinBytes)) await send();
  return end;
}

/** Parts from the first to the last that follow each other; null when there is no such write. */
async function listParts(store: PartStore, key: string, reference: string): Promise<StoredPart[] | null> {
  const parts = await unlessGone(async () => await store.listParts(key, reference));
  const gap = parts?.findIndex(({ number }, index) => number !== index + 1) ?? -1;
  return gap === -1 ? parts : parts!.slice(0, gap);
}

function sizeOf(parts: readonly StoredPart[]): number {
  return parts.reduce((sum, { size }) => sum + size, 0);
}
