import { z } from "zod";
import { BerthError } from "../../protocol/errors.ts";
import { ProvenanceEnvelope, ProvenanceKeys } from "../../protocol/provenance.ts";
import { envelopeOf, issueProvenance } from "../provenance/issue.ts";
import type { Services } from "../services.ts";
import { findProvenance, listKeys } from "../store/provenance.ts";
import { ArtifactParams } from "./artifact-reference.ts";
import { oneItem } from "./one-item.ts";
import { defineRoute, type Route } from "./route.ts";

/** Which item of a batch or matrix. */
const ItemQuery = z.object({ item: z.string().max(600).optional() });

export function provenanceRoutes(services: Services): Route[] {
  const path = "/artifacts/:pipeline/:step/:name/:version/provenance";
  return [
    defineRoute({
      method: "POST",
      path,
      access: { kind: "role", role: "viewer" },
      audit: "provenance.issue",
      summary: "The signed provenance of a version, which is issued if it was not before",
      tag: "artifacts",
      schemas: { params: ArtifactParams, query: ItemQuery, response: ProvenanceEnvelope },
      errors: ["conflict"],
      handler: async ({ params, query: { item }, project }) =>
        await issueProvenance(services, project, await oneItem(services, project, params, item)),
    }),
    defineRoute({
      method: "GET",
      path,
      access: { kind: "role", role: "viewer" },
      summary: "The signed provenance of a version, if it was issued",
      tag: "artifacts",
      schemas: { params: ArtifactParams, query: ItemQuery, response: ProvenanceEnvelope },
      handler: async ({ params, query: { item }, project }) => {
        const { id } = await oneItem(services, project, params, item);
        const issued = await findProvenance(services.database.pool, id);
        if (issued !== null) return envelopeOf(issued);
        throw new BerthError("not_found", "No provenance of this version was issued yet.", {
          advice: "The same with POST issues it: reading changes nothing.",
        });
      },
    }),
    defineRoute({
      method: "GET",
      path: "/provenance/keys",
      access: { kind: "role", role: "viewer" },
      summary: "The public keys that provenance is, and was, signed with",
      tag: "artifacts",
      schemas: { response: ProvenanceKeys },
      handler: async () => {
        const keys = await listKeys(services.database.pool);
        return { items: keys.map((key) => ({ ...key, current: key.id === services.signer?.keyId })) };
      },
    }),
  ];
}
