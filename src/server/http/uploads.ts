import type { Readable } from "node:stream";
import { z } from "zod";
import { BlobStored } from "../../protocol/agent-api.ts";
import { BerthError } from "../../protocol/errors.ts";
import { idOf } from "../../protocol/ids.ts";
import { Digest } from "../../protocol/names.ts";
import {
  BeginUpload,
  BlobPlace,
  FinishUpload,
  PartRequests,
  PartRequestsAnswer,
  UploadId,
  UploadOffset,
  UploadState,
} from "../../protocol/transfers.ts";
import { endingAtQuota } from "../scheduling/admit-outputs.ts";
import type { Services } from "../services.ts";
import { requireLease } from "../store/leases.ts";
import type { Sender } from "../store/upload-rows.ts";
import { announcedSize } from "./announced-size.ts";
import { workerOf } from "./callers.ts";
import { defineRoute, ONLY_BYTES, type Principal, type Route, type RouteContext, type RouteSchemas } from "./route.ts";

const UPLOAD = { contentType: "application/octet-stream", maxBytes: null } as const;
const OfRun = z.object({ run: idOf("run") });
const Upload = z.object({ upload: UploadId });
const Epoch = z.object({ epoch: z.coerce.number().int().min(1) });
const InBody = z.object({ epoch: z.int().min(1) });
const Offset = z.object({ offset: z.coerce.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER) });

const AGENT = { access: { kind: "agent", boot: "current" }, tag: "agent" } as const;
const PEOPLE = { access: { kind: "role", role: "developer" }, tag: "blobs" } as const;
const LEASE = ["not_found", "stale_epoch"] as const;

/** Blobs that travel in several requests: of agents as long as they hold the run, of people for sources. */
type Parts = Pick<Services, "database" | "uploads" | "quotas" | "wakeups" | "log">;

export function uploadRoutes(services: Parts): Route[] {
  return [...agentRoutes(services), ...peopleRoutes(services)];
}

function agentRoutes(services: Parts): Route[] {
  const { database, uploads, quotas } = services;
  const held = async ({ project, principal }: Caller, run: string, epoch: number): Promise<Sender> => {
    const { worker } = workerOf(principal);
    await requireLease(database.pool, { project, worker, run, epoch });
    return { project, owner: worker, kind: "worker" };
  };
  return [
    defineRoute({
      ...AGENT,
      method: "POST",
      path: "/agent/runs/:run/uploads",
      audit: ONLY_BYTES,
      summary: "Begin the upload of a blob, or go on with an unfinished one",
      schemas: { params: OfRun, body: BeginUpload.extend(InBody.shape), response: UploadState },
      errors: [...LEASE, "payload_too_large", "quota_exceeded", "storage_full"],
      handler: async (context) => {
        const { body, project, params } = context;
        const sender = await held(context, params.run, body.epoch);
        const holder = { project, worker: sender.owner, run: params.run, epoch: body.epoch };
        await endingAtQuota(services, holder, () =>
          quotas.admit({ project, blobs: new Map([[body.digest, body.size]]) }),
        );
        return await uploads.begin(sender, body);
      },
    }),
    defineRoute({
      ...AGENT,
      method: "GET",
      path: "/agent/runs/:run/uploads/:upload",
      summary: "Where an upload is",
      schemas: { params: OfRun.extend(Upload.shape), query: Epoch, response: UploadState },
      errors: [...LEASE],
      handler: async (context) =>
        await uploads.state(await held(context, context.params.run, context.query.epoch), context.params.upload),
    }),
    defineRoute({
      ...AGENT,
      method: "PUT",
      path: "/agent/runs/:run/uploads/:upload",
      audit: ONLY_BYTES,
      summary: "Append bytes to an upload, at the byte where it is",
      schemas: { params: OfRun.extend(Upload.shape), query: Epoch.extend(Offset.shape), response: UploadOffset },
      rawBody: UPLOAD,
      errors: [...LEASE, "conflict", "sequence_gap", "storage_full"],
      handler: async (context) => {
        const { run } = context.params;
        const { epoch } = context.query;
        const sender = await held(context, run, epoch);
        const stillAllowed = async () => {
          await held(context, run, epoch);
        };
        return await append(uploads, sender, context, stillAllowed);
      },
    }),
    defineRoute({
      ...AGENT,
      method: "POST",
      path: "/agent/runs/:run/uploads/:upload/parts",
      audit: ONLY_BYTES,
      summary: "Requests to the object store itself, one for each part of an upload",
      schemas: {
        params: OfRun.extend(Upload.shape),
        body: PartRequests.extend(InBody.shape),
        response: PartRequestsAnswer,
      },
      errors: [...LEASE, "conflict"],
      handler: async (context) => {
        const sender = await held(context, context.params.run, context.body.epoch);
        return { parts: await uploads.requests(sender, context.params.upload, context.body.parts) };
      },
    }),
    defineRoute({
      ...AGENT,
      method: "POST",
      path: "/agent/runs/:run/uploads/:upload/finish",
      audit: ONLY_BYTES,
      summary: "Check that all of an upload is there and right, and name the blob",
      schemas: {
        params: OfRun.extend(Upload.shape),
        body: FinishUpload.extend(InBody.shape),
        response: BlobStored,
      },
      errors: [...LEASE, "sequence_gap", "digest_mismatch"],
      handler: async (context) => {
        const sender = await held(context, context.params.run, context.body.epoch);
        return await uploads.finish(sender, context.params.upload, context.body.parts ?? []);
      },
    }),
    defineRoute({
      ...AGENT,
      method: "GET",
      path: "/agent/runs/:run/blobs/:digest/place",
      summary: "Where a blob is read from: through the server, or from the object store itself",
      schemas: { params: OfRun.extend({ digest: Digest }), query: Epoch, response: BlobPlace },
      errors: LEASE,
      handler: async (context) => {
        const { run, digest } = context.params;
        const { project } = await held(context, run, context.query.epoch);
        const place = await uploads.place(project, digest);
        if (place === null) throw new BerthError("not_found", `The project holds no blob ${digest}.`);
        return place;
      },
    }),
  ];
}

/** People send through the server: the store need not be reachable from where they sit. */
function peopleRoutes({ uploads, quotas }: Pick<Services, "uploads" | "quotas">): Route[] {
  return [
    defineRoute({
      ...PEOPLE,
      method: "POST",
      path: "/uploads",
      audit: ONLY_BYTES,
      summary: "Begin the upload of a blob through the server, or go on with an unfinished one",
      schemas: { body: BeginUpload.omit({ via: true }), response: UploadState },
      errors: ["payload_too_large", "quota_exceeded", "storage_full"],
      handler: async (context) => {
        const { project, body } = context;
        await quotas.admit({ project, blobs: new Map([[body.digest, body.size]]) });
        return await uploads.begin(senderOf(context), { ...context.body, via: "server" });
      },
    }),
    defineRoute({
      ...PEOPLE,
      method: "GET",
      path: "/uploads/:upload",
      summary: "Where an upload is",
      schemas: { params: Upload, response: UploadState },
      errors: ["not_found"],
      handler: async (context) => await uploads.state(senderOf(context), context.params.upload),
    }),
    defineRoute({
      ...PEOPLE,
      method: "PUT",
      path: "/uploads/:upload",
      audit: ONLY_BYTES,
      summary: "Append bytes to an upload, at the byte where it is",
      schemas: { params: Upload, query: Offset, response: UploadOffset },
      rawBody: UPLOAD,
      errors: ["not_found", "conflict", "sequence_gap", "storage_full"],
      handler: async (context) => await append(uploads, senderOf(context), context, async () => {}),
    }),
    defineRoute({
      ...PEOPLE,
      method: "POST",
      path: "/uploads/:upload/finish",
      audit: ONLY_BYTES,
      summary: "Check that all of an upload is there and right, and name the blob",
      schemas: { params: Upload, response: BlobStored },
      errors: ["not_found", "sequence_gap", "digest_mismatch"],
      handler: async (context) => await uploads.finish(senderOf(context), context.params.upload, []),
    }),
  ];
}

type Caller = Pick<RouteContext<RouteSchemas>, "project" | "principal">;

function senderOf({ project, principal }: Caller): Sender {
  return { project, owner: tokenOf(principal), kind: "token" };
}

function tokenOf(principal: Principal): string {
  if (principal.kind !== "token") throw new Error(`a route of people was reached by ${principal.kind}`);
  return principal.tokenId;
}

async function append(
  uploads: Services["uploads"],
  sender: Sender,
  { params, query, request }: AppendContext,
  stillAllowed: () => Promise<void>,
): Promise<{ offset: number }> {
  const { offset } = query;
  const length = announcedSize(request);
  const bytes = request.body as Readable;
  return { offset: await uploads.append(sender, params.upload, { offset, length, bytes, stillAllowed }) };
}

interface AppendContext {
  readonly params: { readonly upload: string };
  readonly query: { readonly offset: number };
  readonly request: RouteContext<RouteSchemas>["request"];
}
