import { Lineage, type LineageDirection } from "../../protocol/lineage.ts";
import { type ArtifactReference, artifactPath } from "./artifacts.ts";
import type { ApiClient } from "./client.ts";

export interface LineageQuery {
  readonly direction: LineageDirection;
  readonly depth: number;
  readonly item?: string | undefined;
}

export async function readLineage(
  api: ApiClient,
  reference: ArtifactReference,
  { direction, depth, item }: LineageQuery,
): Promise<Lineage> {
  return await api.get(`${artifactPath(reference)}/lineage`, Lineage, { query: { direction, depth, item } });
}
