import { BerthError } from "../../protocol/errors.ts";
import { newId } from "../../protocol/ids.ts";
import { BeginSessionRequest, Session, SessionCode } from "../../protocol/sessions.ts";
import { requestScope, withinRequest } from "../request-scope.ts";
import { hashToken, newSecretToken } from "../secret-token.ts";
import type { Services } from "../services.ts";
import { recordAudit } from "../store/audit.ts";
import { findProject } from "../store/projects.ts";
import { insertCode, sessionOfCode, sessionOfToken } from "../store/sessions.ts";
import { SESSION_SECONDS } from "../store/tokens.ts";
import { defineRoute, type Route } from "./route.ts";
import { refuseCrossSite, setSessionCookie } from "./session-cookie.ts";

/** From when a command prints it until somebody has opened the page. */
const CODE_LIFETIME_SECONDS = 10 * 60;

/** Sessions of browsers. A session is an API token of its own, so that it is found, limited and revoked as one. */
export function sessionRoutes({ database }: Services): Route[] {
  return [
    defineRoute({
      method: "POST",
      path: "/session/codes",
      access: { kind: "role", role: "viewer" },
      audit: { none: "what it is used for is written down" },
      summary: "Make a code that begins one session in a browser, with what this token may",
      tag: "session",
      schemas: { response: SessionCode },
      status: 201,
      handler: async ({ principal }) => {
        if (principal.kind !== "token") throw new Error(`a role was asked of ${principal.kind}`);
        const { token: code, hash } = newSecretToken("session");
        const made = { hash, tokenId: principal.tokenId, lifetimeSeconds: CODE_LIFETIME_SECONDS };
        return { code, expiresAt: (await insertCode(database.pool, made)).toISOString() };
      },
    }),
    defineRoute({
      method: "POST",
      path: "/session",
      access: { kind: "public" },
      counted: true,
      audit: "session.begin",
      summary: "Begin a session in a browser with a code or an API token; the answer sets its cookie",
      tag: "session",
      schemas: { body: BeginSessionRequest, response: Session },
      errors: ["unauthenticated", "forbidden"],
      handler: async ({ body, request, reply }) => {
        refuseCrossSite(request);
        const { token, hash } = newSecretToken("api");
        const session = { id: newId("apiToken"), hash, lifetimeSeconds: SESSION_SECONDS };
        const begun = await database.transaction(async (client) => {
          const row =
            "code" in body
              ? await sessionOfCode(client, hashToken(body.code), session)
              : await sessionOfToken(client, hashToken(body.token), session);
          if (row === null) throw "code" in body ? uselessCode() : uselessToken();
          const { id, name, project } = row;
          await withinRequest({ ...requestScope()!, actor: { kind: "token", id, name } }, () =>
            recordAudit(client, { project, action: "session.begin", subject: name, details: { token: id } }),
          );
          return row;
        });
        setSessionCookie(request, reply, token, begun.expiresAt!);
        return { name: begun.name, role: begun.role, project: begun.projectName };
      },
    }),
    defineRoute({
      method: "GET",
      path: "/session",
      access: { kind: "role", role: "viewer" },
      summary: "Who this request is made by",
      tag: "session",
      schemas: { response: Session },
      handler: async ({ principal }) => {
        if (principal.kind !== "token") throw new Error(`a role was asked of ${principal.kind}`);
        const { name, role, project } = principal;
        return {
          name,
          role,
          project: project === null ? null : ((await findProject(database.pool, project))?.name ?? null),
        };
      },
    }),
  ];
}

function uselessCode(): BerthError {
  return new BerthError("unauthenticated", "This link was used already, or is too old.", {
    advice: "`berth ui` prints a new one.",
  });
}

function uselessToken(): BerthError {
  return new BerthError("unauthenticated", "The API token is not valid: unknown, expired or revoked.", {
    advice: "Make a new one with `berth token create`, or open the link that `berth ui` prints.",
  });
}
