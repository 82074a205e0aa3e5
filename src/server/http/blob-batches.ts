import type { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { z } from "zod";
import {
  BLOB_BATCH_CONTENT_TYPE,
  BLOB_BATCH_LINE_MAX_BYTES,
  BLOB_BATCH_MAX_BYTES,
  BlobBatchStored,
  decodeBlobBatch,
  encodeBlobBatch,
  ReadBlobsRequest,
} from "../../protocol/blob-batch.ts";
import { idOf } from "../../protocol/ids.ts";
import { endingAtQuota } from "../scheduling/admit-outputs.ts";
import type { Services } from "../services.ts";
import { requireLease } from "../store/leases.ts";
import { workerOf } from "./callers.ts";
import { defineRoute, ONLY_BYTES, type Route } from "./route.ts";

const OfRun = z.object({ run: idOf("run") });

/** Many small blobs at once, for the holder of a run: a folder of many files is a request per thousand of them. */
export function blobBatchRoutes(services: Services): Route[] {
  const { blobs, database, quotas } = services;
  const agent = { kind: "agent", boot: "current" } as const;
  return [
    defineRoute({
      method: "POST",
      path: "/agent/runs/:run/blobs",
      access: agent,
      audit: ONLY_BYTES,
      summary: "Store many small blobs",
      tag: "agent",
      schemas: {
        params: OfRun,
        query: z.object({ epoch: z.coerce.number().int().min(1) }),
        response: BlobBatchStored,
      },
      rawBody: { contentType: BLOB_BATCH_CONTENT_TYPE, maxBytes: BLOB_BATCH_MAX_BYTES + BLOB_BATCH_LINE_MAX_BYTES },
      errors: ["not_found", "stale_epoch", "digest_mismatch", "quota_exceeded", "storage_full", "invalid_body"],
      handler: async ({ params: { run }, query: { epoch }, principal, project, request }) => {
        const holder = { project, worker: workerOf(principal).worker, run, epoch };
        await requireLease(database.pool, holder);
        const batch = decodeBlobBatch(await buffer(request.body as Readable));
        const sizes = new Map(batch.map(({ digest, bytes }) => [digest, bytes.length]));
        await endingAtQuota(services, holder, () => quotas.admit({ project, blobs: sizes }));
        await blobs.putSmall(project, batch);
        return { stored: batch.length };
      },
    }),
    defineRoute({
      method: "POST",
      path: "/agent/runs/:run/blobs/read",
      access: agent,
      audit: ONLY_BYTES,
      summary: "Read many small blobs",
      tag: "agent",
      schemas: { params: OfRun, body: ReadBlobsRequest },
      streams: BLOB_BATCH_CONTENT_TYPE,
      errors: ["not_found", "stale_epoch"],
      handler: async ({ params: { run }, body: { epoch, digests }, principal, project, reply }) => {
        await requireLease(database.pool, { project, worker: workerOf(principal).worker, run, epoch });
        reply.type(BLOB_BATCH_CONTENT_TYPE);
        return encodeBlobBatch(await blobs.readSmall(project, digests, BLOB_BATCH_MAX_BYTES));
      },
    }),
  ];
}
