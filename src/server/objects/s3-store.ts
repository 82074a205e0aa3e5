import { randomUUID } from "node:crypto";
import { Readable } from "node:stream";
import { DeleteObjectCommand, GetObjectCommand, HeadObjectCommand, ListObjectsV2Command } from "@aws-sdk/client-s3";
import { BerthError } from "../../protocol/errors.ts";
import { type ByteRange, checkKey, type ObjectStat, type ObjectStore, type OpenObject } from "./object-store.ts";
import { writesByParts } from "./part-writes.ts";
import { createS3Client, S3_TIMEOUTS, type S3Timeouts } from "./s3-client.ts";
import { directTransfers } from "./s3-direct.ts";
import { placeOf, s3Code, s3Error, statusOf } from "./s3-errors.ts";
import type { S3Location } from "./s3-location.ts";
import { attempting, deadline, nameOf, type S3Target } from "./s3-target.ts";
import { collectUnfinished } from "./s3-unfinished.ts";
import { sendPart, upload } from "./s3-upload.ts";
import { checkedBodies, checkUploaded } from "./s3-verify.ts";
import { watchedStream } from "./watched-stream.ts";

export interface S3StoreOptions {
  /** The variable that names the store, for errors. */
  readonly setting: string;
  readonly timeouts?: Partial<S3Timeouts>;
}

/** Objects in a bucket of S3, or of anything that speaks its protocol. Disposing it closes its connections. */
export function openS3Store(location: S3Location, options: S3StoreOptions): ObjectStore & Disposable {
  const timeouts = { ...S3_TIMEOUTS, ...options.timeouts };
  const target: S3Target = { client: createS3Client(location, timeouts), location, timeouts, setting: options.setting };
  const signing =
    location.directEndpoint === null ? target.client : createS3Client(location, timeouts, location.directEndpoint);
  const direct = directTransfers(target, signing);
  // Asked once, by the first upload.
  let checked: Promise<boolean> | undefined;
  const bodiesAreChecked = () => {
    checked ??= checkedBodies(target, `berth-check-${randomUUID()}`);
    checked.catch(() => (checked = undefined));
    return checked;
  };
  const put = async (key: string, bytes: AsyncIterable<Uint8Array>, size: number | undefined, readBack: boolean) => {
    checkKey(key);
    const uploaded = await upload(target, key, bytes, size);
    await checkUploaded(target, key, uploaded, { stat, open, remove, readBack });
    return uploaded.size;
  };
  return {
    place: placeOf(location),
    direct: location.direct ? direct : null,
    resumable: writesByParts({
      ...direct,
      sendPart: async (key, uploadId, number, part) => {
        checkKey(key);
        await sendPart(target, { key, uploadId, number }, part);
      },
    }),
    check: async () => {
      await listPage(target, "", undefined, 1);
      const key = `berth-check-${randomUUID()}`;
      // Not everything that answers stores something.
      await put(key, Readable.from([Buffer.from(key)]), key.length, true);
      await remove(target, key);
    },
    put: async (key, bytes, size) => await put(key, bytes, size, !(await bodiesAreChecked())),
    open: async (key, range) => await open(target, key, range),
    stat: async (key) => await stat(target, key),
    delete: async (key) => await remove(target, key),
    list: (prefix) => list(target, prefix),
    collectUnfinished: async (olderThanMs) => await collectUnfinished(target, olderThanMs),
    [Symbol.dispose]: () => {
      target.client.destroy();
      signing.destroy();
    },
  };
}

async function open(target: S3Target, key: string, range?: ByteRange): Promise<OpenObject | null> {
  checkKey(key);
  const Range = range === undefined ? undefined : `bytes=${range.start}-${range.end}`;
  const answer = await orNull(target, "read an object", () =>
    target.client.send(new GetObjectCommand({ ...nameOf(target, key), Range }), {
      requestTimeout: target.timeouts.answerMs,
    }),
  );
  if (answer === null) return null;
  const failed = (cause: Error) => s3Error(cause, target.location, target.setting, "read an object to its end");
  const stream = watchedStream(answer.Body as Readable, {
    size: answer.ContentLength,
    idleMs: target.timeouts.answerMs,
    failed,
  });
  const size = range === undefined ? answer.ContentLength : Number(answer.ContentRange?.split("/")[1]);
  if (size !== undefined && size >= 0) return { size, stream };
  stream.destroy();
  throw failed(new Error("the answer does not say how large the object is"));
}

async function stat(target: S3Target, key: string): Promise<ObjectStat | null> {
  checkKey(key);
  const answer = await orNull(target, "look for an object", () =>
    target.client.send(new HeadObjectCommand(nameOf(target, key)), deadline(target)),
  );
  if (answer === null) return null;
  return { key, size: answer.ContentLength ?? 0, modifiedAt: answer.LastModified ?? new Date(0) };
}

async function remove(target: S3Target, key: string): Promise<void> {
  checkKey(key);
  await orNull(target, "delete an object", () =>
    target.client.send(new DeleteObjectCommand(nameOf(target, key)), deadline(target)),
  );
}

/** A bucket that is gone is no object that is gone. */
async function orNull<T>(target: S3Target, attempted: string, work: () => Promise<T>): Promise<T | null> {
  return await attempting(target, attempted, async () => {
    try {
      return await work();
    } catch (error) {
      if (statusOf(error) === 404 && s3Code(error) !== "NoSuchBucket") return null;
      throw error;
    }
  });
}

async function* list(target: S3Target, prefix: string): AsyncIterable<ObjectStat> {
  if (prefix !== "") checkKey(prefix.slice(0, -1));
  if (prefix !== "" && !prefix.endsWith("/"))
    throw new BerthError("invalid_request", `The prefix ${prefix} does not end with "/".`);
  const skipped = target.location.prefix.length;
  let token: string | undefined;
  do {
    const page = await listPage(target, prefix, token);
    for (const { Key, Size, LastModified } of page.Contents ?? []) {
      if (Key === undefined || Size === undefined || LastModified === undefined) continue;
      yield { key: Key.slice(skipped), size: Size, modifiedAt: LastModified };
    }
    token = page.IsTruncated ? page.NextContinuationToken : undefined;
  } while (token !== undefined);
}

async function listPage(target: S3Target, prefix: string, token: string | undefined, MaxKeys = 1000) {
  const { bucket, prefix: own } = target.location;
  return await attempting(target, "list objects", () =>
    target.client.send(
      new ListObjectsV2Command({ Bucket: bucket, Prefix: own + prefix, ContinuationToken: token, MaxKeys }),
      deadline(target),
    ),
  );
}
