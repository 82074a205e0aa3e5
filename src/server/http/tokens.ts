import { z } from "zod";
import { BerthError } from "../../protocol/errors.ts";
import { idOf, newId } from "../../protocol/ids.ts";
import { PageQuery, pageOf } from "../../protocol/resources.ts";
import { ApiToken, CreatedToken, CreateTokenRequest } from "../../protocol/tokens.ts";
import { newSecretToken } from "../secret-token.ts";
import type { Services } from "../services.ts";
import { recordAudit } from "../store/audit.ts";
import { insertToken, listTokens, revokeToken, type TokenRow } from "../store/tokens.ts";
import { nameOf, ownsInstallation } from "./callers.ts";
import { decodeKey, encodeCursor, nextPage } from "./paging.ts";
import { defineRoute, type Principal, type Route } from "./route.ts";

export function tokenRoutes({ database }: Services): Route[] {
  return [
    defineRoute({
      method: "POST",
      path: "/tokens",
      access: { kind: "role", role: "admin" },
      audit: "token.create",
      summary: "Create an API token; its secret is in this answer and nowhere else",
      tag: "tokens",
      schemas: { body: CreateTokenRequest, response: CreatedToken },
      handler: async ({ body, principal, project }) => {
        if (body.installation) checkInstallation(principal, body.role);
        const { token, hash } = newSecretToken("api");
        const owner = body.installation ? null : project;
        const { name, role, lifetimeSeconds } = body;
        const id = newId("apiToken");
        const createdBy = nameOf(principal);
        const row = await database.transaction(async (client) => {
          const made = { id, project: owner, name, role, hash, createdBy, lifetimeSeconds };
          const details = { name, role, lifetimeSeconds };
          await recordAudit(client, { project: owner, action: "token.create", subject: id, details });
          return insertToken(client, made);
        });
        return { ...shownToken(row), token };
      },
    }),
    defineRoute({
      method: "GET",
      path: "/tokens",
      access: { kind: "role", role: "admin" },
      summary: "List API tokens that were not revoked",
      tag: "tokens",
      schemas: { query: PageQuery, response: pageOf(ApiToken) },
      handler: async ({ query: { cursor, limit }, principal, project }) => {
        const page = { after: decodeKey(cursor), limit: limit + 1 };
        const rows = await listTokens(database.pool, project, ownsInstallation(principal), page);
        return nextPage(rows.map(shownToken), limit, ({ id }) => encodeCursor([id]));
      },
    }),
    defineRoute({
      method: "DELETE",
      path: "/tokens/:token",
      access: { kind: "role", role: "admin" },
      audit: "token.revoke",
      summary: "Revoke an API token at once",
      tag: "tokens",
      schemas: { params: z.object({ token: idOf("apiToken") }), response: null },
      errors: ["not_found"],
      handler: async ({ params, principal, project }) => {
        const { token } = params;
        await database.transaction(async (client) => {
          const revoked = await revokeToken(client, token, project, ownsInstallation(principal));
          if (revoked === null) throw new BerthError("not_found", `There is no token ${token} to revoke.`);
          const { name } = revoked;
          await recordAudit(client, {
            project: revoked.project,
            action: "token.revoke",
            subject: token,
            details: { name },
          });
        });
      },
    }),
  ];
}

function checkInstallation(principal: Principal, role: string): void {
  if (!ownsInstallation(principal)) {
    throw new BerthError("forbidden", "Only an administrator of the whole installation makes tokens for all of it.");
  }
  if (role !== "admin") {
    throw new BerthError("invalid_request", "A token of the whole installation has the role admin.", {
      advice: "Make a token in each project that it is needed in.",
    });
  }
}

export function shownToken(row: TokenRow): ApiToken {
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    project: row.projectName,
    createdBy: row.createdBy,
    createdAt: row.createdAt.toISOString(),
    expiresAt: row.expiresAt?.toISOString() ?? null,
    lastUsedAt: row.lastUsedAt?.toISOString() ?? null,
  };
}
