import { Preview } from "../../protocol/preview.ts";
import { type ArtifactReference, artifactPath } from "./artifacts.ts";
import type { ApiClient } from "./client.ts";

export interface PreviewQuery {
  readonly item?: string | undefined;
  /** The file of a folder. */
  readonly path?: string | undefined;
  readonly rows?: number | undefined;
  readonly cursor?: string | undefined;
}

export async function getPreview(api: ApiClient, reference: ArtifactReference, query: PreviewQuery): Promise<Preview> {
  return await api.get(`${artifactPath(reference)}/preview`, Preview, { query: { ...query } });
}
