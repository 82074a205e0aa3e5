import { ListMultipartUploadsCommand, ListPartsCommand, type ListPartsCommandOutput } from "@aws-sdk/client-s3";
import { s3Code } from "./s3-errors.ts";
import { attempting, deadline, nameOf, type S3Target } from "./s3-target.ts";
import { abortUpload } from "./s3-upload.ts";

/** Aborts uploads by parts in which nothing has moved for this long. */
export async function collectUnfinished(target: S3Target, olderThanMs: number): Promise<number> {
  const { bucket, prefix } = target.location;
  const before = Date.now() - olderThanMs;
  let removed = 0;
  let marker: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } | null = {};
  while (marker !== null) {
    const command: ListMultipartUploadsCommand = new ListMultipartUploadsCommand({
      ...{ Bucket: bucket, Prefix: prefix, ...marker },
    });
    const page = await attempting(target, "list unfinished uploads", () =>
      target.client.send(command, deadline(target)),
    );
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      if (Key === undefined || UploadId === undefined || Initiated === undefined) continue;
      const key = Key.slice(prefix.length);
      if (Initiated.getTime() > before || (await movedAt(target, key, UploadId)) > before) continue;
      await abortUpload(target, key, UploadId);
      removed += 1;
    }
    marker = page.IsTruncated ? { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker } : null;
  }
  return removed;
}

/** When its last part came. */
async function movedAt(target: S3Target, key: string, UploadId: string): Promise<number> {
  let last = 0;
  for await (const { LastModified } of listedParts(target, key, UploadId)) {
    last = Math.max(last, LastModified?.getTime() ?? 0);
  }
  return last;
}

/** Nothing for an upload that is not there (any more). */
export async function* listedParts(target: S3Target, key: string, UploadId: string, missing?: () => Error) {
  let PartNumberMarker: string | undefined;
  do {
    const command = new ListPartsCommand({ ...nameOf(target, key), UploadId, PartNumberMarker });
    const page: ListPartsCommandOutput | null = await attempting(target, "list the parts of an upload", async () => {
      try {
        return await target.client.send(command, deadline(target));
      } catch (error) {
        if (s3Code(error) !== "NoSuchUpload") throw error;
        if (missing !== undefined) throw missing();
        return null;
      }
    });
    yield* page?.Parts ?? [];
    PartNumberMarker = page?.IsTruncated ? page.NextPartNumberMarker : undefined;
  } while (PartNumberMarker !== undefined);
}
