import { BerthError } from "../../protocol/errors.ts";
import type { PartToSend, UploadedPart } from "../../protocol/transfers.ts";
import type { DirectRequest, DirectTransfers, StoredPart } from "../objects/direct-transfers.ts";
import type { ObjectStore } from "../objects/object-store.ts";
import { unlessGone } from "../objects/unless-gone.ts";
import { unknownUpload } from "./upload-appends.ts";
import type { UploadRow } from "./upload-rows.ts";

const MiB = 1024 * 1024;
/** Large enough that requests cost little beside their bytes, small enough that a cut costs little, too. */
const PART_BYTES = 16 * MiB;

/** Bytes of each part but the last. */
export function partBytesOf({ partMinBytes, partMaxBytes, partsMax }: DirectTransfers, size: number): number {
  const least = Math.max(PART_BYTES, partMinBytes, Math.ceil(size / partsMax));
  const bytes = Math.ceil(least / MiB) * MiB;
  if (bytes <= partMaxBytes) return bytes;
  throw new BerthError("payload_too_large", `A blob of ${size} bytes is more than the object store takes.`);
}

/** Whether the blob is one request to the store; else it is sent by parts. */
export function isOneRequest(direct: DirectTransfers, size: number, partBytes: number): boolean {
  return size <= Math.min(partBytes, direct.writeMaxBytes);
}

/** A signed request to the store for each part. */
export async function partRequests(
  direct: DirectTransfers,
  upload: UploadRow,
  parts: readonly PartToSend[],
  expiresInMs: number,
): Promise<{ number: number; request: DirectRequest }[]> {
  for (const part of parts) checkPart(upload, part);
  return await Promise.all(
    parts.map(async ({ number, size, md5 }) => {
      const body = { size, md5, expiresInMs };
      const { objectKey, reference } = upload;
      const request =
        reference === null
          ? await direct.writeUrl(objectKey, body)
          : await direct.partUrl(objectKey, reference, number, body);
      return { number, request };
    }),
  );
}

/** What the store has of it; null when it has no such upload (any more). */
export async function uploadedParts(direct: DirectTransfers, upload: UploadRow): Promise<UploadedPart[] | null> {
  // One request: what a cut left of it is nothing.
  if (upload.reference === null) return [];
  const stored = await listParts(direct, upload.objectKey, upload.reference);
  return stored?.map((part) => ({ number: part.number, size: part.size, md5: md5OfTag(part.tag) })) ?? null;
}

/**
 * Makes the object of an upload after seeing that the store has every part, of the size that it is to have and with the
 * MD5 that the sender says it has sent. 409 `sequence_gap` names the parts that are still to be sent.
 */
export async function completeDirect(
  store: ObjectStore,
  direct: DirectTransfers,
  upload: UploadRow,
  sent: readonly PartToSend[],
): Promise<void> {
  const { objectKey: key, reference, size } = upload;
  if (reference !== null) {
    const stored = await listParts(direct, key, reference);
    // None: it was completed before, and the answer was lost.
    if (stored !== null) {
      const parts = checkedParts(upload, stored, sent);
      await unlessGone(async () => await direct.completeParts(key, reference, parts));
    }
  }
  const object = await store.stat(key);
  if (object === null && reference !== null) throw unknownUpload();
  if (object === null) throw missingParts([1]);
  if (object.size !== size) {
    throw new BerthError("digest_mismatch", `The object store has ${object.size} bytes of it, not ${size}.`);
  }
}

function checkedParts(upload: UploadRow, stored: readonly StoredPart[], sent: readonly PartToSend[]): StoredPart[] {
  const byNumber = new Map(stored.map((part) => [part.number, part]));
  const md5s = new Map(sent.map(({ number, md5 }) => [number, md5]));
  const count = Math.max(1, Math.ceil(upload.size / upload.partBytes));
  const right: StoredPart[] = [];
  const missing: number[] = [];
  for (let number = 1; number <= count; number++) {
    const part = byNumber.get(number);
    if (part !== undefined && isRight(upload, part, md5s.get(number))) right.push(part);
    else missing.push(number);
  }
  if (missing.length > 0) throw missingParts(missing);
  return right;
}

function isRight(upload: UploadRow, part: StoredPart, md5: string | undefined): boolean {
  const found = md5OfTag(part.tag);
  return part.size === sizeOfPart(upload, part.number) && md5 !== undefined && (found === null || found === md5);
}

function sizeOfPart({ size, partBytes }: UploadRow, number: number): number {
  return Math.min(partBytes, size - (number - 1) * partBytes);
}

function checkPart(upload: UploadRow, { number, size }: PartToSend): void {
  if (size === sizeOfPart(upload, number)) return;
  throw new BerthError("invalid_request", `Part ${number} of this upload does not have ${size} bytes.`);
}

function missingParts(missing: readonly number[]): BerthError {
  const words = missing.length === 1 ? "A part of the upload is" : `${missing.length} parts of the upload are`;
  return new BerthError("sequence_gap", `${words} not in the object store, or not as they were sent.`, {
    details: { missing: missing.slice(0, 1_000) },
  });
}

async function listParts(direct: DirectTransfers, key: string, reference: string): Promise<StoredPart[] | null> {
  return await unlessGone(async () => await direct.listParts(key, reference));
}

/** Most stores tag a part by its MD5; one that encrypts does not. */
function md5OfTag(tag: string): string | null {
  const hex = /^"?([0-9a-f]{32})"?$/i.exec(tag)?.[1];
  return hex === undefined ? null : Buffer.from(hex, "hex").toString("base64");
}
