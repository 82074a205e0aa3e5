import { z } from "zod";
import { idOf } from "./ids.ts";
import { Digest } from "./names.ts";

/**
 * How the bytes of larger blobs travel. A blob below UPLOAD_MIN_BYTES is one `PUT` of `blobs/:digest`. For any other the
 * sender begins an upload and is told the way:
 *
 * - `stored`: the project holds the blob; nothing is to be sent.
 * - `single`: the blob is a row of the database; send it by the one `PUT` after all.
 * - `server`: append bytes from `offset` on, through the server, in as many requests as it takes: `PUT uploads/:upload`
 *   with the offset, which has to be where the server is (else 409 `sequence_gap`, `details.expected`). After a cut, `GET`
 *   says where to go on. `finish` checks the SHA-256 of the whole and names the blob.
 * - `direct`: ask for requests that the object store itself answers, one for each part, send the parts in any order and
 *   several at once, and `finish`. `parts` are those that the store has already.
 *
 * A sender has one unfinished upload of a blob: to begin again is to go on, also after a crash. What does not move for a
 * day is removed. Until `finish` was answered nothing of it is visible.
 */

/** Below this one request is faster, and little is lost when it is cut. */
export const UPLOAD_MIN_BYTES = 8 * 1024 * 1024;
/** Requests of parts that are asked for at once. */
export const PART_URLS_PER_REQUEST = 100;
/** The store's own limit, which every store of objects shares. */
export const PARTS_MAX = 10_000;

export const UploadId = idOf("upload");

export const BeginUpload = z.object({
  digest: Digest,
  size: z.int().nonnegative(),
  /** `server`: not directly, because the store could not be reached from where the sender is. */
  via: z.enum(["any", "server"]).default("any"),
});
export type BeginUpload = z.infer<typeof BeginUpload>;

/** MD5 in base64, as in `content-md5`. */
export const Md5 = z.string().regex(/^[A-Za-z0-9+/]{22}==$/, "must be 16 bytes in base64");

/** A part that the store has; `md5` is null where the store does not say. */
export const UploadedPart = z.object({
  number: z.int().min(1).max(PARTS_MAX),
  size: z.int().nonnegative(),
  md5: Md5.nullable(),
});
export type UploadedPart = z.infer<typeof UploadedPart>;

export const UploadState = z.discriminatedUnion("way", [
  z.object({ way: z.literal("stored") }),
  z.object({ way: z.literal("single") }),
  z.object({ way: z.literal("server"), upload: UploadId, offset: z.int().nonnegative() }),
  z.object({
    way: z.literal("direct"),
    upload: UploadId,
    /** Of each part but the last. */
    partBytes: z.int().positive(),
    parts: z.array(UploadedPart),
  }),
]);
export type UploadState = z.infer<typeof UploadState>;

export const UploadOffset = z.object({ offset: z.int().nonnegative() });

/** One part that is about to be sent. */
export const PartToSend = z.object({ number: z.int().min(1).max(PARTS_MAX), size: z.int().nonnegative(), md5: Md5 });
export type PartToSend = z.infer<typeof PartToSend>;

/** A request to the object store, to be sent as it is until it expires. Whoever has it can do what it does: a secret. */
export const DirectRequest = z.object({
  method: z.enum(["GET", "PUT"]),
  url: z.url(),
  headers: z.record(z.string(), z.string()),
  expiresInMs: z.number(),
});
export type DirectRequest = z.infer<typeof DirectRequest>;

/** `POST uploads/:upload/parts` */
export const PartRequests = z.object({ parts: z.array(PartToSend).min(1).max(PART_URLS_PER_REQUEST) });
export const PartRequestsAnswer = z.object({
  parts: z.array(z.object({ number: z.int(), request: DirectRequest })),
});

/** `POST uploads/:upload/finish`; `parts` of a direct upload, all of them, as they were sent. */
export const FinishUpload = z.object({ parts: z.array(PartToSend).max(PARTS_MAX).optional() });
export type FinishUpload = z.infer<typeof FinishUpload>;

/** `GET blobs/:digest/place`: where a blob is read from. */
export const BlobPlace = z.discriminatedUnion("way", [
  z.object({ way: z.literal("server"), size: z.int().nonnegative() }),
  z.object({ way: z.literal("direct"), size: z.int().nonnegative(), request: DirectRequest }),
]);
export type BlobPlace = z.infer<typeof BlobPlace>;
