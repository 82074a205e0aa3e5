import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { BerthError } from "../../protocol/errors.ts";
import { MEDIA_TYPE_PATTERN } from "../../protocol/output-notes.ts";
import type { ArtifactVersion } from "../../protocol/resources.ts";
import type { Services } from "../services.ts";
import { blobSizes } from "../store/commit-blobs.ts";
import { ArtifactParams } from "./artifact-reference.ts";
import { parseByteRange } from "./byte-range.ts";
import { requireContent } from "./gone-version.ts";
import { oneItem } from "./one-item.ts";
import { defineRoute, type Route } from "./route.ts";
import { pickFromManifest } from "./stored-manifest.ts";

/** Bytes to be sent, whichever way they were named. */
interface Download {
  readonly digest: string;
  readonly fileName: string;
  readonly contentType: string;
}

export function artifactContentRoute(services: Services): Route {
  return defineRoute({
    method: "GET",
    path: "/artifacts/:pipeline/:step/:name/:version/content",
    access: { kind: "role", role: "viewer" },
    summary: "The bytes of an artifact; of a folder its manifest, or one file of it",
    tag: "artifacts",
    schemas: {
      params: ArtifactParams,
      query: z.object({
        /** Which item of a batch or matrix. */
        item: z.string().max(600).optional(),
        /** Which file of a folder. */
        path: z.string().max(4096).optional(),
      }),
    },
    streams: "application/octet-stream",
    errors: ["not_found", "gone", "range_not_satisfiable"],
    handler: async ({ params, query: { item, path }, project, request, reply, signal }) => {
      const artifact = await oneItem(services, project, params, item);
      requireContent(artifact);
      return send(services, project, await downloadOf(services, { project, signal }, artifact, path), request, reply);
    },
  });
}

async function downloadOf(
  { blobs }: Services,
  reading: { readonly project: string; readonly signal: AbortSignal },
  artifact: ArtifactVersion,
  path: string | undefined,
): Promise<Download> {
  const { digest, fileName, contentType } = artifact;
  if (artifact.kind === "file") {
    if (path === undefined) return { digest, fileName, contentType };
    throw new BerthError("invalid_request", "The artifact is a file: it has no paths inside.");
  }
  if (path === undefined) return { digest, fileName: `${fileName}.manifest.json`, contentType: "application/json" };
  const entry = await pickFromManifest(blobs, { ...reading, digest }, (entries) =>
    entries.find((each) => each.path === path),
  );
  if (entry?.kind !== "file") {
    throw new BerthError("not_found", `The folder has no file ${JSON.stringify(path)}.`, {
      advice: "Without a path, its content lists what it has.",
    });
  }
  return { digest: entry.digest, fileName: path.split("/").at(-1)!, contentType: "application/octet-stream" };
}

async function send(
  { blobs, database }: Services,
  project: string,
  { digest, fileName, contentType }: Download,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  const tag = `"${digest}"`;
  reply.header("etag", tag);
  reply.header("accept-ranges", "bytes");
  // The bytes behind a digest never change, but who may read them can.
  reply.header("cache-control", "private, no-cache");
  reply.header("content-disposition", attachment(fileName));
  if (request.headers["if-none-match"] === tag) return reply.code(304).send();

  const size = (await blobSizes(database.pool, project, [digest])).get(digest);
  const condition = request.headers["if-range"];
  const range = parseByteRange(
    condition === undefined || condition === tag ? request.headers.range : undefined,
    size ?? 0,
  );
  const blob = await blobs.open(project, digest, range ?? undefined);
  if (blob === null) throw gone(digest);
  if (range !== null) {
    reply.code(206);
    reply.header("content-range", `bytes ${range.start}-${range.end}/${blob.size}`);
  }
  reply.type(MEDIA_TYPE_PATTERN.test(contentType) ? contentType : "application/octet-stream");
  reply.header("content-length", range === null ? blob.size : range.end - range.start + 1);
  return blob.stream;
}

/** Saved, never shown: what a step wrote must not run in the origin of the server. */
function attachment(fileName: string): string {
  const ascii = fileName.replace(/[^A-Za-z0-9._-]/g, "_");
  const encoded = encodeURIComponent(fileName).replace(
    /['()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${ascii}"; filename*=UTF-8''${encoded}`;
}

function gone(digest: string): BerthError {
  return new BerthError("gone", `The bytes of ${digest} are not in the store any more.`);
}
