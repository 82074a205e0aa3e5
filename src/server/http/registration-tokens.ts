import { z } from "zod";
import { BerthError } from "../../protocol/errors.ts";
import { idOf, newId } from "../../protocol/ids.ts";
import { PageQuery, pageOf } from "../../protocol/resources.ts";
import { CreatedRegistrationToken, CreateRegistrationTokenRequest, RegistrationToken } from "../../protocol/tokens.ts";
import { newSecretToken } from "../secret-token.ts";
import type { Services } from "../services.ts";
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
      summary: "Create a token that registers one worker; its secret is in this answer and nowhere else",
      tag: "workers",
      schemas: { body: CreateRegistrationTokenRequest, response: CreatedRegistrationToken },
      handler: async ({ body, principal, project }) => {
        const { token, hash } = newSecretToken("registration");
        const row = await insertRegistrationToken(database.pool, {
          ...body,
          id: newId("registrationToken"),
          project,
          hash,
          createdBy: nameOf(principal),
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
      summary: "Revoke a registration token; a worker that it registered stays",
      tag: "workers",
      schemas: { params: z.object({ token: idOf("registrationToken") }), response: null },
      errors: ["not_found"],
      handler: async ({ params, project }) => {
        if (await revokeRegistrationToken(database.pool, project, params.token)) return;
        throw new BerthError("not_found", `There is no registration token ${params.token}.`);
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
