import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { BlobStored, MissingBlobsResponse } from "../../protocol/agent-api.ts";
import type { SourceRef } from "../../protocol/plan.ts";
import type { BlobFetcher } from "../../runtime/blob-fetcher.ts";
import type { ApiClient } from "./client.ts";
import { streamBody } from "./stream-body.ts";

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

/** Uploads a file as the blob of this digest; the server checks that it is. */
export async function uploadBlob(api: ApiClient, { digest, size }: SourceRef, file: string): Promise<void> {
  const bytes = Readable.toWeb(createReadStream(file)) as ReadableStream<Uint8Array>;
  await api.upload(`/blobs/${digest}`, bytes, BlobStored, { contentType: "application/octet-stream", size });
}
