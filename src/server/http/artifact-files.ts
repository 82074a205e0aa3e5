import { z } from "zod";
import type { ManifestEntry } from "../../protocol/artifacts.ts";
import { BATCHED_BLOB_MAX_BYTES, BLOB_BATCH_MAX_BYTES, BLOB_BATCH_MAX_COUNT } from "../../protocol/blob-batch.ts";
import { BerthError } from "../../protocol/errors.ts";
import type { ArtifactVersion } from "../../protocol/resources.ts";
import type { Services } from "../services.ts";
import type { BlobStore } from "../store/blobs.ts";
import { ArtifactParams } from "./artifact-reference.ts";
import { requireContent } from "./gone-version.ts";
import { oneItem } from "./one-item.ts";
import { defineRoute, type Route } from "./route.ts";
import { pickFromManifest } from "./stored-manifest.ts";
import { streamAnswer } from "./stream-answer.ts";

type FileEntry = Extract<ManifestEntry, { kind: "file" }>;
/** What is kept of each while the answer is sent, which may take as long as its reader likes. */
type FileBytes = Pick<FileEntry, "size" | "digest">;

/**
 * Many files of a folder artifact in one answer, which is nothing but their bytes, one after another in the order of the
 * manifest: whoever has that knows where each ends, and what its SHA-256 is.
 */
export function artifactFilesRoute(services: Services): Route {
  return defineRoute({
    method: "GET",
    path: "/artifacts/:pipeline/:step/:name/:version/files",
    access: { kind: "role", role: "viewer" },
    summary: "The bytes of a folder's files, one after another in the order of its manifest",
    tag: "artifacts",
    schemas: {
      params: ArtifactParams,
      query: z.object({
        /** Which item of a batch or matrix. */
        item: z.string().max(600).optional(),
        /** Only files in this folder of it, or this file. */
        under: z.string().max(4096).optional(),
        /** Files to leave out at the beginning: to go on where an answer broke off. */
        skip: z.coerce.number().int().min(0).default(0),
      }),
    },
    streams: "application/octet-stream",
    handler: async ({ params, query: { item, under, skip }, project, reply, signal }) => {
      const artifact = await oneItem(services, project, params, item);
      requireContent(artifact);
      const wanted = (files: readonly FileEntry[]): FileBytes[] =>
        files
          .filter((file) => isUnder(file, under))
          .slice(skip)
          .map(({ size, digest }) => ({ size, digest }));
      const files =
        artifact.kind === "file"
          ? wanted([onlyFile(artifact)])
          : await pickFromManifest(services.blobs, { project, digest: artifact.digest, signal }, (entries) =>
              wanted(entries.filter((entry) => entry.kind === "file")),
            );
      reply.header("cache-control", "private, no-cache");
      reply.header("content-disposition", "attachment");
      return streamAnswer(reply, "application/octet-stream", bytesOf(services.blobs, project, files));
    },
  });
}

/** A file is taken for a folder that has nothing else. */
function onlyFile({ fileName, size, digest }: ArtifactVersion): FileEntry {
  return { kind: "file", path: fileName, mode: 0o644, size, digest };
}

function isUnder({ path }: FileEntry, under: string | undefined): boolean {
  return under === undefined || path === under || path.startsWith(`${under}/`);
}

async function* bytesOf(blobs: BlobStore, project: string, files: readonly FileBytes[]): AsyncGenerator<Uint8Array> {
  for (const group of groupsOf(files)) {
    const digests = [...new Set(group.map(({ digest }) => digest))];
    const small = digests.length > 1 ? await blobs.readSmall(project, digests, BLOB_BATCH_MAX_BYTES) : [];
    const known = new Map(small.map(({ digest, bytes }) => [digest, bytes]));
    for (const { digest } of group) {
      const bytes = known.get(digest);
      if (bytes === undefined) yield* streamOf(blobs, project, digest);
      else if (bytes.length > 0) yield bytes;
    }
  }
}

async function* streamOf(blobs: BlobStore, project: string, digest: string): AsyncGenerator<Uint8Array> {
  const blob = await blobs.open(project, digest);
  if (blob === null) throw new BerthError("gone", `The bytes of ${digest} are not in the store any more.`);
  yield* blob.stream;
}

/** Consecutive files that are read together: as many small ones as fit, or one that is large. */
function* groupsOf(files: readonly FileBytes[]): Generator<FileBytes[]> {
  let group: FileBytes[] = [];
  let bytes = 0;
  for (const file of files) {
    const isFull = group.length === BLOB_BATCH_MAX_COUNT || bytes + file.size > BLOB_BATCH_MAX_BYTES;
    if (group.length > 0 && (isFull || file.size > BATCHED_BLOB_MAX_BYTES)) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push(file);
    bytes += file.size;
  }
  if (group.length > 0) yield group;
}
