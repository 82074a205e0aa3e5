import type { z } from "zod";
import { type TagArtifactRequest, TaggedArtifact } from "../../protocol/artifact-tags.ts";
import { ArtifactDetail, ArtifactVersion, pageOf } from "../../protocol/resources.ts";
import { allPages } from "./all-pages.ts";
import type { ApiClient } from "./client.ts";

const ArtifactPage = pageOf(ArtifactVersion);

/** One version of an artifact, as `pipeline/step/name/version`; null is the newest complete one. */
export interface ArtifactReference {
  readonly pipeline: string;
  readonly step: string;
  readonly name: string;
  readonly version: number | null;
}

export interface ArtifactFilter {
  readonly pipeline?: string | undefined;
  readonly run?: string | undefined;
  readonly step?: string | undefined;
  readonly name?: string | undefined;
  /** Also those whose content is gone. */
  readonly all?: boolean | undefined;
  /** Such as `team=ml`, or `team` for any value; all of them. */
  readonly tags?: readonly string[] | undefined;
  readonly limit: number;
}

/** Newest first. */
export async function listArtifacts(api: ApiClient, { tags, ...filter }: ArtifactFilter): Promise<ArtifactVersion[]> {
  return (
    await api.get("/artifacts", ArtifactPage, { query: { ...filter, all: filter.all ? "true" : undefined, tag: tags } })
  ).items;
}

/** Of all items of a version, or of one. */
export function tagArtifact(
  api: ApiClient,
  reference: ArtifactReference,
  item: string | undefined,
  change: z.input<typeof TagArtifactRequest>,
): Promise<TaggedArtifact> {
  const query = item === undefined ? "" : `?item=${encodeURIComponent(item)}`;
  return api.post(`${artifactPath(reference)}/tags${query}`, change, TaggedArtifact);
}

/** Everything that a run made, in the order in which it was made. */
export async function listArtifactsOfRun(
  api: ApiClient,
  run: string,
  filter: { readonly step?: string } = {},
): Promise<ArtifactVersion[]> {
  const path = `/runs/${encodeURIComponent(run)}/artifacts`;
  return (await allPages((query) => api.get(path, ArtifactPage, { query: { ...query, ...filter } }))).reverse();
}

/** The items of one version, in item order, and whether they are all; with `item`, only that one. */
export async function readVersion(
  api: ApiClient,
  reference: ArtifactReference,
  item?: string,
): Promise<{ readonly items: ArtifactVersion[]; readonly complete: boolean }> {
  let complete = true;
  const items = await allPages(async (query) => {
    const page = await api.get(artifactPath(reference), ArtifactDetail, { query: { ...query, item } });
    complete = page.complete;
    return page;
  });
  return { items, complete };
}

/** The bytes of a file artifact, of a folder artifact's manifest, or of one file in the folder; from a byte on. */
export function openContent(
  api: ApiClient,
  artifact: ArtifactVersion,
  path: string | null,
  signal: AbortSignal,
  from = 0,
): Promise<Response> {
  const headers: Record<string, string> = from === 0 ? {} : { range: `bytes=${from}-` };
  const query = { item: artifact.item === "" ? undefined : artifact.item, path: path ?? undefined };
  return api.stream(`${artifactPath(artifact)}/content`, { query, signal, headers });
}

/** The bytes of a folder's files, one after another in the order of its manifest; see `GET …/files`. */
export function openFiles(
  api: ApiClient,
  artifact: ArtifactVersion,
  { under, skip }: { readonly under: string | null; readonly skip: number },
  signal: AbortSignal,
): Promise<Response> {
  const query = { item: artifact.item === "" ? undefined : artifact.item, under: under ?? undefined, skip };
  return api.stream(`${artifactPath(artifact)}/files`, { query, signal });
}

export function artifactPath({ pipeline, step, name, version }: ArtifactReference): string {
  return `/artifacts/${pipeline}/${step}/${name}/${version ?? "latest"}`;
}
