import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { BlobStored, MissingBlobsResponse } from "../../protocol/agent-api.ts";
import type { SourceRef } from "../../protocol/plan.ts";
import { UPLOAD_MIN_BYTES, UploadOffset, UploadState } from "../../protocol/transfers.ts";
import type { BlobFetcher } from "../../runtime/blob-fetcher.ts";
import { type UploadCalls, uploadThroughServer } from "../../runtime/upload-through-server.ts";
import type { ApiClient } from "./client.ts";
import { streamBody } from "./stream-body.ts";

const BYTES = "application/octet-stream";
const FINISH_TIMEOUT_MS = 10 * 60_000;

export async function isBlobMissing(api: ApiClient, digest: string): Promise<boolean> {
  const { missing } = await api.post("/blobs/missing", { digests: [digest] }, MissingBlobsResponse);
  return missing.includes(digest);
}

/** The blobs of the project, to be fetched by whoever checks them. */
export function blobFetcher(api: ApiClient): BlobFetcher {
  return async function* fetchBlob(digest, _size, signal, from) {
    const headers: Record<string, string> = from === 0 ? {} : { range: `bytes=${from}-` };
    yield* streamBody(await api.stream(`/blobs/${digest}`, { signal, headers }), signal);
  };
}

/**
 * Uploads a file as the blob of this digest; the server checks that it is. A large one goes on where an earlier try was
 * cut. `retrying` does again what failed for want of a connection.
 */
export async function uploadBlob(
  api: ApiClient,
  { digest, size }: SourceRef,
  file: string,
  retrying: <T>(work: () => Promise<T>) => Promise<T>,
): Promise<void> {
  if (size >= UPLOAD_MIN_BYTES) {
    const calls: UploadCalls = {
      begin: () => api.post("/uploads", { digest, size }, UploadState),
      append: async (upload, offset, length, bytes) => {
        const options = { query: { offset }, contentType: BYTES, size: length };
        return (await api.upload(`/uploads/${upload}`, webStream(bytes), UploadOffset, options)).offset;
      },
      finish: async (upload) => {
        // The server may have to read all of it again, which takes longer than other answers.
        await api.post(`/uploads/${upload}/finish`, undefined, BlobStored, { timeoutMs: FINISH_TIMEOUT_MS });
      },
    };
    const { way } = await uploadThroughServer({ digest, size, path: file }, calls, { retrying });
    if (way === "stored") return;
  }
  await retrying(async () => {
    const bytes = webStream(createReadStream(file));
    await api.upload(`/blobs/${digest}`, bytes, BlobStored, { contentType: BYTES, size });
  });
}

function webStream(bytes: Readable): ReadableStream<Uint8Array> {
  return Readable.toWeb(bytes) as ReadableStream<Uint8Array>;
}
