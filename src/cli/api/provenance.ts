import { ProvenanceEnvelope, type ProvenanceKey, ProvenanceKeys } from "../../protocol/provenance.ts";
import { type ArtifactReference, artifactPath } from "./artifacts.ts";
import type { ApiClient } from "./client.ts";

/** The signed provenance of one item, which is issued if it was not before. */
export async function getProvenance(
  api: ApiClient,
  reference: ArtifactReference,
  item: string | undefined,
): Promise<ProvenanceEnvelope> {
  return await api.post(`${artifactPath(reference)}/provenance`, undefined, ProvenanceEnvelope, { query: { item } });
}

/** Every public key of the installation, the oldest first. */
export async function listProvenanceKeys(api: ApiClient): Promise<ProvenanceKey[]> {
  return (await api.get("/provenance/keys", ProvenanceKeys)).items;
}
