import { z } from "zod";
import { BerthError } from "../../protocol/errors.ts";
import { PREVIEW_ROWS_DEFAULT, PREVIEW_ROWS_MAX, Preview } from "../../protocol/preview.ts";
import { subjectName } from "../../protocol/provenance.ts";
import type { ArtifactVersion } from "../../protocol/resources.ts";
import { Permits } from "../../std/permits.ts";
import { BoundedReader, PreviewLimit } from "../preview/bounded-reader.ts";
import { FolderCursor, folderPage, manifestEntries } from "../preview/folder.ts";
import { previewFile } from "../preview/preview.ts";
import type { Services } from "../services.ts";
import { blobSizes } from "../store/commit-blobs.ts";
import { ArtifactParams } from "./artifact-reference.ts";
import { requireContent } from "./gone-version.ts";
import { oneItem } from "./one-item.ts";
import { defineRoute, type Route } from "./route.ts";

/** Read for one preview, the manifest of a folder included; held in memory in parts of at most that. */
const READ_MAX_BYTES = 48 * 1024 * 1024;
const TIME_MAX_MS = 8_000;
/** Of one server: each may take some hundred megabytes until its limits end it. */
const PREVIEWS_AT_ONCE = 3;
/** How long one more waits for its turn. */
const TURN_MAX_MS = 8_000;

export function artifactPreviewRoute(services: Services): Route {
  const turns = new Permits(PREVIEWS_AT_ONCE);
  return defineRoute({
    method: "GET",
    path: "/artifacts/:pipeline/:step/:name/:version/preview",
    access: { kind: "role", role: "viewer" },
    summary: "What can be seen of an artifact without downloading it",
    tag: "artifacts",
    schemas: {
      params: ArtifactParams,
      query: z.object({
        /** Which item of a batch or matrix. */
        item: z.string().max(600).optional(),
        /** Which file of a folder. */
        path: z.string().max(4096).optional(),
        /** Rows of a table, lines of JSON, entries of a folder. */
        rows: z.coerce.number().int().min(1).max(PREVIEW_ROWS_MAX).default(PREVIEW_ROWS_DEFAULT),
        /** Of a folder, where the page starts: `next` of the one before. */
        cursor: FolderCursor.optional(),
      }),
      response: Preview,
    },
    errors: ["gone"],
    handler: async ({ params, query: { item, path, rows, cursor }, project, signal }): Promise<Preview> => {
      const artifact = await oneItem(services, project, params, item);
      requireContent(artifact);
      using _turn = await turnOf(turns, signal);
      const reading = {
        open: opener(services, project),
        limits: { budgetBytes: READ_MAX_BYTES, signal: AbortSignal.any([signal, AbortSignal.timeout(TIME_MAX_MS)]) },
      };
      const content = await seen(artifact, path, { reading, rows, cursor });
      return { artifact: subjectName(artifact, artifact.item), ...content };
    },
  });
}

async function turnOf(turns: Permits, signal: AbortSignal): Promise<Disposable> {
  try {
    return await turns.acquire(AbortSignal.any([signal, AbortSignal.timeout(TURN_MAX_MS)]));
  } catch (cause) {
    throw new BerthError("unavailable", "The server is busy with other previews.", {
      cause,
      advice: "Try again in a moment.",
    });
  }
}

type Reading = {
  readonly open: (digest: string) => Promise<Blob>;
  readonly limits: ConstructorParameters<typeof BoundedReader>[2];
};
type Blob = { readonly size: number; readonly range: ConstructorParameters<typeof BoundedReader>[1] };
interface Wanted {
  readonly reading: Reading;
  readonly rows: number;
  readonly cursor: number | undefined;
}

async function seen(
  artifact: ArtifactVersion,
  path: string | undefined,
  { reading, rows, cursor }: Wanted,
): Promise<Omit<Preview, "artifact">> {
  const { kind, digest, fileName, contentType, size } = artifact;
  if (kind === "file") {
    if (path !== undefined || cursor !== undefined) {
      throw new BerthError("invalid_request", "The artifact is a file: it has no paths inside.");
    }
    const facts = { fileName, contentType };
    return { path: null, ...facts, size, ...(await previewFile(await readerOf(reading, digest), facts, rows)) };
  }
  const about = { path: path ?? null, fileName, contentType, size };
  try {
    const entries = await manifestEntries(await readerOf(reading, digest));
    if (path === undefined) {
      const content = folderPage(entries, cursor ?? 0, rows);
      return { ...about, content, truncated: content.entries.length < content.total, note: null };
    }
    const entry = entries.find((one) => one.path === path);
    if (entry?.kind !== "file") {
      throw new BerthError("not_found", `The folder has no file ${JSON.stringify(path)}.`, {
        advice: "Without a path, its preview lists what it has.",
      });
    }
    const facts = { fileName: path.split("/").at(-1)!, contentType: "application/octet-stream" };
    const reader = await readerOf(reading, entry.digest);
    return { path, ...facts, size: entry.size, ...(await previewFile(reader, facts, rows)) };
  } catch (error) {
    if (!(error instanceof PreviewLimit)) throw error;
    return { ...about, content: { kind: "none", why: error.message }, truncated: true, note: null };
  }
}

async function readerOf({ open, limits }: Reading, digest: string): Promise<BoundedReader> {
  const { size, range } = await open(digest);
  return new BoundedReader(size, range, limits);
}

function opener({ blobs, database }: Services, project: string): Reading["open"] {
  return async (digest) => {
    const size = (await blobSizes(database.pool, project, [digest])).get(digest);
    if (size === undefined) throw new BerthError("gone", `The bytes of ${digest} are not in the store any more.`);
    const range: Blob["range"] = async (start, end) =>
      (await blobs.open(project, digest, { start, end }))?.stream ?? null;
    return { size, range };
  };
}
