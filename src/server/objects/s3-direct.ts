import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { BerthError } from "../../protocol/errors.ts";
import type { DirectBody, DirectRequest, DirectTransfers, StoredPart } from "./direct-transfers.ts";
import { checkKey } from "./object-store.ts";
import { s3Code } from "./s3-errors.ts";
import { attempting, deadline, nameOf, type S3Target } from "./s3-target.ts";
import { listedParts } from "./s3-unfinished.ts";
import { abortUpload, PART_MAX_BYTES, PART_MIN_BYTES, PARTS_MAX } from "./s3-upload.ts";

/** Requests that S3 itself signs for at most a week. */
const EXPIRES_MAX_MS = 7 * 24 * 60 * 60_000;

/** `signing` is the client of the address that agents use. Signing needs no request. */
export function directTransfers(target: S3Target, signing: S3Client): DirectTransfers {
  const sign = async (
    command: GetObjectCommand | PutObjectCommand | UploadPartCommand,
    expiresInMs: number,
    rest: Pick<DirectRequest, "method" | "headers">,
  ): Promise<DirectRequest> =>
    await attempting(target, "sign a request", async () => {
      const { expiration } = await signing.config.credentials();
      const wanted = Date.now() + Math.min(expiresInMs, EXPIRES_MAX_MS);
      // What is signed with passing credentials ends with them.
      const expiresAt = Math.min(wanted, expiration?.getTime() ?? wanted);
      const expiresIn = Math.max(1, Math.floor((expiresAt - Date.now()) / 1000));
      const url = await getSignedUrl(signing, command as GetObjectCommand, { expiresIn });
      return { ...rest, url, expiresAt: new Date(Date.now() + expiresIn * 1000) };
    });
  const put = (body: DirectBody): Pick<DirectRequest, "method" | "headers"> => ({
    method: "PUT",
    headers: { "content-length": String(body.size), "content-md5": body.md5 },
  });
  const named = (key: string) => {
    checkKey(key);
    return nameOf(target, key);
  };
  return {
    partMinBytes: PART_MIN_BYTES,
    partMaxBytes: PART_MAX_BYTES,
    partsMax: PARTS_MAX,
    writeMaxBytes: PART_MAX_BYTES,
    readUrl: async (key, { expiresInMs }) =>
      await sign(new GetObjectCommand(named(key)), expiresInMs, { method: "GET", headers: {} }),
    writeUrl: async (key, body) =>
      await sign(
        new PutObjectCommand({ ...named(key), ContentLength: body.size, ContentMD5: body.md5 }),
        body.expiresInMs,
        put(body),
      ),
    beginParts: async (key) => {
      const command = new CreateMultipartUploadCommand(named(key));
      const { UploadId } = await attempting(target, "begin an upload by parts", () =>
        target.client.send(command, deadline(target)),
      );
      return UploadId!;
    },
    partUrl: async (key, UploadId, PartNumber, body) =>
      await sign(
        new UploadPartCommand({
          ...{ ...named(key), UploadId, PartNumber, ContentLength: body.size, ContentMD5: body.md5 },
        }),
        body.expiresInMs,
        put(body),
      ),
    listParts: async (key, uploadId) => {
      checkKey(key);
      const parts: StoredPart[] = [];
      for await (const part of listedParts(target, key, uploadId, gone)) {
        parts.push({ number: part.PartNumber!, size: part.Size!, tag: part.ETag! });
      }
      return parts;
    },
    completeParts: async (key, UploadId, parts) => {
      const Parts = parts.map(({ number, tag }) => ({ PartNumber: number, ETag: tag }));
      const command = new CompleteMultipartUploadCommand({ ...named(key), UploadId, MultipartUpload: { Parts } });
      await attempting(target, "complete an upload by parts", async () => {
        try {
          await target.client.send(command, deadline(target, target.timeouts.completeMs));
        } catch (error) {
          throw s3Code(error) === "NoSuchUpload" ? gone() : error;
        }
      });
    },
    abortParts: async (key, uploadId) => {
      checkKey(key);
      await abortUpload(target, key, uploadId);
    },
  };
}

function gone(): BerthError {
  return new BerthError("gone", "This upload by parts is no longer there: it was completed, aborted or collected.");
}
