import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { BlobStored, MissingBlobsResponse } from "../../protocol/agent-api.ts";
import type { SourceRef } from "../../protocol/plan.ts";
import type { ApiClient } from "./client.ts";

export async function isBlobMissing(api: ApiClient, digest: string): Promise<boolean> {
  const { missing } = await api.post("/blobs/missing", { digests: [digest] }, MissingBlobsResponse);
  return missing.includes(digest);
}

/** Uploads a file as the blob of this digest; the server checks that it is. */
export async function uploadBlob(api: ApiClient, { digest, size }: SourceRef, file: string): Promise<void> {
  const bytes = Readable.toWeb(createReadStream(file)) as ReadableStream<Uint8Array>;
  await api.upload(`/blobs/${digest}`, bytes, BlobStored, { contentType: "application/octet-stream", size });
}
