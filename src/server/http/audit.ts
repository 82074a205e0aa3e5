import { z } from "zod";
import { AuditCheckpoint, AuditEvent, AuditHead, AuditQuery, AuditScope } from "../../protocol/audit.ts";
import { HEAD_TYPE } from "../../protocol/audit-chain.ts";
import { canonicalJson } from "../../protocol/canonical-json.ts";
import { BerthError } from "../../protocol/errors.ts";
import { signedBytes } from "../../protocol/provenance.ts";
import { pageOf } from "../../protocol/resources.ts";
import type { Services } from "../services.ts";
import { auditHead, INSTALLATION, listAudit } from "../store/audit.ts";
import { ownsInstallation } from "./callers.ts";
import { decodeCursor, encodeCursor, nextPage } from "./paging.ts";
import { defineRoute, type Principal, type Route } from "./route.ts";

const Cursor = z.tuple([z.int()]);

/** The audit log, with all that it takes to check it. */
export function auditRoutes({ database, signer }: Services): Route[] {
  return [
    defineRoute({
      method: "GET",
      path: "/audit",
      access: { kind: "role", role: "admin" },
      summary: "List who changed what, as a chain of hashes",
      tag: "audit",
      schemas: { query: AuditQuery, response: pageOf(AuditEvent) },
      errors: ["forbidden"],
      handler: async ({ query: { scope, cursor, limit, ...filter }, principal, project }) => {
        const chain = chainOf(scope, principal, project);
        const after = cursor === undefined ? null : decodeCursor(Cursor, cursor)[0];
        const events = await listAudit(database.pool, { ...filter, chain, after, limit: limit + 1 });
        return nextPage(events, limit, ({ sequence }) => encodeCursor([sequence]));
      },
    }),
    defineRoute({
      method: "GET",
      path: "/audit/head",
      access: { kind: "role", role: "admin" },
      summary: "What the audit log ends with",
      tag: "audit",
      schemas: { query: z.object({ scope: AuditScope }), response: AuditHead },
      errors: ["forbidden"],
      handler: async ({ query: { scope }, principal, project }) => {
        const chain = chainOf(scope, principal, project);
        return { chain, ...(await auditHead(database.pool, chain)) };
      },
    }),
    defineRoute({
      method: "GET",
      path: "/audit/checkpoint",
      access: { kind: "role", role: "admin" },
      summary: "What the audit log ends with, signed with the provenance key of the installation",
      tag: "audit",
      schemas: { query: z.object({ scope: AuditScope }), response: AuditCheckpoint },
      errors: ["forbidden", "conflict"],
      handler: async ({ query: { scope }, principal, project }) => {
        if (signer === null) {
          throw new BerthError("conflict", "This server has no key to sign a checkpoint with.", {
            advice: "Set BERTH_PROVENANCE_KEY_FILE, or keep the sequence and hash of GET /api/v1/audit/head.",
          });
        }
        const chain = chainOf(scope, principal, project);
        const head: AuditHead = { chain, ...(await auditHead(database.pool, chain)) };
        const payload = Buffer.from(canonicalJson(head));
        const sig = signer.sign(signedBytes(HEAD_TYPE, payload)).toString("base64");
        return {
          payloadType: HEAD_TYPE,
          payload: payload.toString("base64"),
          signatures: [{ keyid: signer.keyId, sig }],
        } as const;
      },
    }),
  ];
}

function chainOf(scope: z.infer<typeof AuditScope>, principal: Principal, project: string): string {
  if (scope === "project") return project;
  if (ownsInstallation(principal)) return INSTALLATION;
  throw new BerthError("forbidden", "Only an administrator of the whole installation reads its audit log.");
}
