import { z } from "zod";
import { BerthError } from "../../protocol/errors.ts";
import { idOf, newId } from "../../protocol/ids.ts";
import { PageQuery, pageOf } from "../../protocol/resources.ts";
import { CreatedRegistrationToken, CreateRegistrationTokenRequest, RegistrationToken } from "../../protocol/tokens.ts";
import { newSecretToken } from "../secret-token.ts";
import type { Services } from "../services.ts";
import { recordAudit } from "../store/audit.ts";
import {
  insertRegistrationToken,
  listRegistrationTokens,
  type RegistrationTokenRow,
  revokeRegistrationToken,
} from "../store/registration-tokens.ts";
import { nameOf } from "./callers.ts";
import { decodeKey, encodeCursor, nextPage } from "./paging.ts";
import { defineRoute, type Route } from "./route.ts";

export function registrationTokenRoutes({ database }: Services): Route[] {
  return [
    defineRoute({
      method: "POST",
      path: "/registration-tokens",
      access: { kind: "role", role: "operator" },
      audit: "registration-token.create",
      summary: "Create a token that registers one worker; its secret is in this answer and nowhere else",
      tag: "workers",
      schemas: { body: CreateRegistrationTokenRequest, response: CreatedRegistrationToken },
      handler: async ({ body, principal, project }) => {
        const { token, hash } = newSecretToken("registration");
        const id = newId("registrationToken");
        const createdBy = nameOf(principal);
        const row = await database.transaction(async (client) => {
          await recordAudit(client, {
            project,
            action: "registration-token.create",
            subject: id,
            details: { ...body },
          });
          return insertRegistrationToken(client, { ...body, id, project, hash, createdBy });
        });
        return { ...shown(row), token };
      },
    }),
    defineRoute({
      method: "GET",
      path: "/registration-tokens",
      access: { kind: "role", role: "operator" },
      summary: "List registration tokens, newest first",
      tag: "workers",
      schemas: { query: PageQuery, response: pageOf(RegistrationToken) },
      handler: async ({ query: { cursor, limit }, project }) => {
        const page = { before: decodeKey(cursor), limit: limit + 1 };
        const rows = await listRegistrationTokens(database.pool, project, page);
        return nextPage(rows.map(shown), limit, ({ id }) => encodeCursor([id]));
      },
    }),
    defineRoute({
      method: "DELETE",
      path: "/registration-tokens/:token",
      access: { kind: "role", role: "operator" },
      audit: "registration-token.revoke",
      summary: "Revoke a registration token; a worker that it registered stays",
      tag: "workers",
      schemas: { params: z.object({ token: idOf("registrationToken") }), response: null },
      errors: ["not_found"],
      handler: async ({ params: { token }, project }) => {
        await database.transaction(async (client) => {
          if (!(await revokeRegistrationToken(client, project, token))) {
            throw new BerthError("not_found", `There is no registration token ${token}.`);
          }
          await recordAudit(client, { project, action: "registration-token.revoke", subject: token });
        });
      },
    }),
  ];
}

function shown(row: RegistrationTokenRow): RegistrationToken {
  return {
    id: row.id,
    state: row.state,
    pool: row.pool,
    labels: [...row.labels],
    createdBy: row.createdBy,
    createdAt: row.createdAt.toISOString(),
    expiresAt: row.expiresAt.toISOString(),
    usedBy: row.usedBy,
  };
}
