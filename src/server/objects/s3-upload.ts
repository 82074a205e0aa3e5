import { createHash } from "node:crypto";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { fixedPieces } from "./fixed-pieces.ts";
import { s3Code } from "./s3-errors.ts";
import { attempting, deadline, nameOf, type S3Target } from "./s3-target.ts";

/** What S3 takes: parts of 5 MiB to 5 GiB, the last may be smaller, and 10,000 of them. */
export const PART_MIN_BYTES = 5 * 1024 * 1024;
export const PART_MAX_BYTES = 5 * 1024 ** 3;
export const PARTS_MAX = 10_000;
/** Parts are in memory while they are sent: this many of this size, and the one that is being filled. */
const PART_BYTES = 8 * 1024 * 1024;
const PARTS_IN_FLIGHT = 3;

export interface Uploaded {
  readonly size: number;
  readonly parts: readonly SentPart[];
}

export interface SentPart {
  readonly size: number;
  readonly md5: string;
}

/** Sends a stream as one request where it is small, else by parts; nothing is visible before all of it is there. */
export async function upload(
  target: S3Target,
  key: string,
  bytes: AsyncIterable<Uint8Array>,
  size: number | undefined,
): Promise<Uploaded> {
  const pieces = fixedPieces(bytes, partBytes(size))[Symbol.asyncIterator]();
  try {
    const first = await pieces.next();
    const body = first.done ? Buffer.alloc(0) : first.value.bytes;
    if (first.done || first.value.last) return await putWhole(target, key, body);
    return await putParts(target, key, body, pieces);
  } finally {
    await pieces.return?.();
  }
}

/** As few parts as there may be, where the size is known to need more than usual. */
function partBytes(size = 0): number {
  const needed = Math.ceil(size / PARTS_MAX / 1024 / 1024) * 1024 * 1024;
  return Math.max(PART_BYTES, needed);
}

async function putWhole(target: S3Target, key: string, body: Buffer): Promise<Uploaded> {
  const md5 = md5Of(body);
  await attempting(target, `store ${body.length} bytes`, () =>
    target.client.send(
      new PutObjectCommand({ ...nameOf(target, key), Body: body, ContentLength: body.length, ContentMD5: md5 }),
      deadline(target, target.timeouts.sendMs),
    ),
  );
  return { size: body.length, parts: [{ size: body.length, md5 }] };
}

async function putParts(
  target: S3Target,
  key: string,
  first: Buffer,
  rest: AsyncIterator<{ readonly bytes: Buffer }>,
): Promise<Uploaded> {
  const name = nameOf(target, key);
  const { UploadId } = await attempting(target, "begin an upload by parts", () =>
    target.client.send(new CreateMultipartUploadCommand(name), deadline(target)),
  );
  const sending = new Set<Promise<void>>();
  const sent: { size: number; md5: string; tag: string | undefined }[] = [];
  const send = async (number: number, body: Buffer) => {
    sent[number - 1] = await sendPart(target, { key, uploadId: UploadId!, number }, body);
  };
  try {
    let number = 0;
    for (let body: Buffer | null = first; body !== null; body = await next(rest)) {
      const part = send(++number, body).then(() => void sending.delete(part));
      sending.add(part);
      // Its failure is heard by the race, or by the wait for all.
      part.catch(() => {});
      if (sending.size >= PARTS_IN_FLIGHT) await Promise.race(sending);
    }
    await Promise.all(sending);
    const parts = sent.map(({ tag }, index) => ({ ETag: tag, PartNumber: index + 1 }));
    const size = sent.reduce((sum, part) => sum + part.size, 0);
    await complete(target, key, UploadId, parts);
    return { size, parts: sent };
  } catch (error) {
    await Promise.allSettled(sending);
    // What cannot be aborted now is collected later.
    await abortUpload(target, key, UploadId).catch(() => {});
    throw error;
  }
}

/** One part of an upload by parts. */
export async function sendPart(
  target: S3Target,
  {
    key,
    uploadId: UploadId,
    number: PartNumber,
  }: { readonly key: string; readonly uploadId: string; readonly number: number },
  body: Buffer,
): Promise<SentPart & { readonly tag: string | undefined }> {
  const md5 = md5Of(body);
  const command = new UploadPartCommand({
    ...{ ...nameOf(target, key), UploadId, PartNumber, Body: body, ContentLength: body.length, ContentMD5: md5 },
  });
  const answer = await attempting(target, `store part ${PartNumber}`, () =>
    target.client.send(command, deadline(target, target.timeouts.sendMs)),
  );
  return { size: body.length, md5, tag: answer.ETag };
}

async function next(pieces: AsyncIterator<{ readonly bytes: Buffer }>): Promise<Buffer | null> {
  const piece = await pieces.next();
  return piece.done ? null : piece.value.bytes;
}

/** That there is no such upload may mean that an earlier attempt has completed it: the caller looks at the object. */
async function complete(
  target: S3Target,
  key: string,
  UploadId: string | undefined,
  Parts: { ETag: string | undefined; PartNumber: number }[],
): Promise<void> {
  const command = new CompleteMultipartUploadCommand({ ...nameOf(target, key), UploadId, MultipartUpload: { Parts } });
  await attempting(target, "complete an upload by parts", async () => {
    try {
      await target.client.send(command, deadline(target, target.timeouts.completeMs));
    } catch (error) {
      if (s3Code(error) !== "NoSuchUpload") throw error;
    }
  });
}

export async function abortUpload(target: S3Target, key: string, UploadId: string | undefined): Promise<void> {
  await attempting(target, "abort an upload by parts", async () => {
    try {
      const command = new AbortMultipartUploadCommand({ ...nameOf(target, key), UploadId });
      await target.client.send(command, deadline(target));
    } catch (error) {
      if (s3Code(error) !== "NoSuchUpload") throw error;
    }
  });
}

export function md5Of(bytes: Uint8Array): string {
  return createHash("md5").update(bytes).digest("base64");
}
