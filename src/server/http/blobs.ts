import { Readable } from "node:stream";
import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { BlobStored, MissingBlobsRequest, MissingBlobsResponse } from "../../protocol/agent-api.ts";
import { BerthError } from "../../protocol/errors.ts";
import { idOf } from "../../protocol/ids.ts";
import { Digest } from "../../protocol/names.ts";
import { endingAtQuota } from "../scheduling/admit-outputs.ts";
import type { Services } from "../services.ts";
import { findBlob } from "../store/blob-rows.ts";
import { requireLease } from "../store/leases.ts";
import { announcedSize } from "./announced-size.ts";
import { parseByteRange } from "./byte-range.ts";
import { workerOf } from "./callers.ts";
import { defineRoute, ONLY_BYTES, type Route } from "./route.ts";

const BYTES = "application/octet-stream";
const UPLOAD = { contentType: BYTES, maxBytes: null } as const;
const OfRun = z.object({ run: idOf("run") });
const OfRunBlob = OfRun.extend({ digest: Digest });
const Epoch = z.object({ epoch: z.coerce.number().int().min(1) });

/** Bytes in and out: for agents as long as they hold the run, for people the way in of sources. */
export function blobRoutes(services: Services): Route[] {
  const { blobs, database, quotas } = services;
  const agent = { kind: "agent", boot: "current" } as const;
  const held = async (
    context: { principal: Parameters<typeof workerOf>[0]; project: string },
    run: string,
    epoch: number,
  ) =>
    await requireLease(database.pool, {
      project: context.project,
      worker: workerOf(context.principal).worker,
      run,
      epoch,
    });
  return [
    defineRoute({
      method: "POST",
      path: "/agent/runs/:run/blobs/missing",
      access: agent,
      audit: ONLY_BYTES,
      summary: "Which of these blobs the project does not hold yet",
      tag: "agent",
      schemas: { params: OfRun, body: MissingBlobsRequest, response: MissingBlobsResponse },
      errors: ["not_found", "stale_epoch"],
      handler: async (context) => {
        await held(context, context.params.run, context.body.epoch);
        return { missing: await blobs.missing(context.project, context.body.digests) };
      },
    }),
    defineRoute({
      method: "PUT",
      path: "/agent/runs/:run/blobs/:digest",
      access: agent,
      audit: ONLY_BYTES,
      summary: "Store a blob",
      tag: "agent",
      schemas: { params: OfRunBlob, query: Epoch, response: BlobStored },
      rawBody: UPLOAD,
      errors: ["not_found", "stale_epoch", "digest_mismatch", "quota_exceeded", "storage_full"],
      handler: async (context) => {
        const { params, query, principal, project } = context;
        await held(context, params.run, query.epoch);
        const holder = { project, worker: workerOf(principal).worker, run: params.run, epoch: query.epoch };
        return await endingAtQuota(services, holder, () => store(context));
      },
    }),
    defineRoute({
      method: "GET",
      path: "/agent/runs/:run/blobs/:digest",
      access: agent,
      summary: "Read a blob, or a range of it",
      tag: "agent",
      schemas: { params: OfRunBlob, query: Epoch },
      streams: BYTES,
      errors: ["not_found", "stale_epoch", "range_not_satisfiable"],
      handler: async (context) => {
        await held(context, context.params.run, context.query.epoch);
        return await send(context);
      },
    }),
    defineRoute({
      method: "POST",
      path: "/blobs/missing",
      access: { kind: "role", role: "developer" },
      audit: ONLY_BYTES,
      summary: "Which of these blobs the project does not hold yet",
      tag: "blobs",
      schemas: { body: MissingBlobsRequest.omit({ epoch: true }), response: MissingBlobsResponse },
      handler: async ({ body, project }) => ({ missing: await blobs.missing(project, body.digests) }),
    }),
    defineRoute({
      method: "GET",
      path: "/blobs/:digest",
      access: { kind: "role", role: "developer" },
      summary: "Read a blob of the project, or a range of it, such as what an attempt that is replayed read",
      tag: "blobs",
      schemas: { params: z.object({ digest: Digest }) },
      streams: BYTES,
      errors: ["not_found", "range_not_satisfiable"],
      handler: async (context) => await send(context),
    }),
    defineRoute({
      method: "PUT",
      path: "/blobs/:digest",
      access: { kind: "role", role: "developer" },
      audit: ONLY_BYTES,
      summary: "Store a blob, such as the source that a run is about to be submitted with",
      tag: "blobs",
      schemas: { params: z.object({ digest: Digest }), response: BlobStored },
      rawBody: UPLOAD,
      errors: ["digest_mismatch", "quota_exceeded", "storage_full"],
      handler: async (context) => await store(context),
    }),
  ];

  async function store(context: BlobContext) {
    const { project, params, request } = context;
    const size = announcedSize(request);
    await quotas.admit({ project, blobs: new Map([[params.digest, size]]) });
    await blobs.put(project, params.digest, size, (request.body as Readable | undefined) ?? Readable.from([]));
    return { digest: params.digest, size };
  }

  async function send({ project, params: { digest }, request, reply }: BlobContext) {
    const row = await findBlob(database.pool, project, digest);
    const range = row === null ? null : parseByteRange(request.headers.range, row.size);
    const blob = row === null ? null : await blobs.open(project, digest, range ?? undefined);
    if (blob === null) throw new BerthError("not_found", `The project holds no blob ${digest}.`);
    if (range !== null) reply.code(206).header("content-range", `bytes ${range.start}-${range.end}/${blob.size}`);
    reply.header("content-length", range === null ? blob.size : range.end - range.start + 1);
    reply.header("accept-ranges", "bytes").type(BYTES);
    return blob.stream;
  }
}

interface BlobContext {
  readonly project: string;
  readonly params: { readonly digest: string };
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}
