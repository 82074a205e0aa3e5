import type { AuditActor } from "../../protocol/audit.ts";
import { BerthError } from "../../protocol/errors.ts";
import { newId } from "../../protocol/ids.ts";
import { BeginLoginRequest, BegunLogin, FinishedLogin, FinishLoginRequest } from "../../protocol/login.ts";
import { type Login, type Person, roleOf } from "../login/login.ts";
import { requestScope, withinRequest } from "../request-scope.ts";
import { newSecretToken } from "../secret-token.ts";
import type { Services } from "../services.ts";
import { recordAudit } from "../store/audit.ts";
import { projectNamed } from "../store/projects.ts";
import { insertToken, revokeToken } from "../store/tokens.ts";
import { ownsInstallation } from "./callers.ts";
import { defineRoute, ONLY_ASKS, type Route } from "./route.ts";
import { clearSessionCookie } from "./session-cookie.ts";
import { shownToken } from "./tokens.ts";

/** Logging in, for people: what it ends with is an API token that ends soon. */
export function loginRoutes(services: Services): Route[] {
  return [
    defineRoute({
      method: "POST",
      path: "/login/begin",
      access: { kind: "public" },
      counted: true,
      audit: ONLY_ASKS,
      summary: "Where to go with a browser to log in with the identity provider of the installation",
      tag: "login",
      schemas: { body: BeginLoginRequest, response: BegunLogin },
      errors: ["conflict"],
      handler: async ({ body }) => ({ authorizationUrl: (await requireLogin(services).begin(body)).href }),
    }),
    defineRoute({
      method: "POST",
      path: "/login/finish",
      access: { kind: "public" },
      counted: true,
      audit: "login.succeed",
      summary: "Give what the browser came back with, and get an API token with the role of one's groups",
      tag: "login",
      schemas: { body: FinishLoginRequest, response: FinishedLogin },
      errors: ["conflict", "unauthenticated", "forbidden"],
      handler: async ({ body, request }) => {
        const login = requireLogin(services);
        const person = await login.finish(body).catch((error: unknown) => {
          request.log.warn({ err: error, requestId: request.id }, "a login failed");
          throw error;
        });
        const actor: AuditActor = { kind: "person", id: person.subject, name: person.name };
        return withinRequest({ ...requestScope()!, actor }, () => letIn(services, login, person, body.project));
      },
    }),
    defineRoute({
      method: "DELETE",
      path: "/login",
      access: { kind: "role", role: "viewer" },
      audit: "login.end",
      summary: "Revoke the very token that this request is made with",
      tag: "login",
      schemas: { response: null },
      handler: async ({ principal, project, request, reply }) => {
        if (principal.kind !== "token") throw new Error(`a role was asked of ${principal.kind}`);
        const { tokenId, name } = principal;
        await services.database.transaction(async (client) => {
          await revokeToken(client, tokenId, project, ownsInstallation(principal));
          await recordAudit(client, {
            project: principal.project,
            action: "login.end",
            subject: name,
            details: { tokenId },
          });
        });
        clearSessionCookie(request, reply);
      },
    }),
  ];
}

/** A token for a person, where their groups give them a role in the project. */
async function letIn({ database }: Services, login: Login, person: Person, projectName: string) {
  const role = roleOf(login.roles, person, projectName);
  const project = await projectNamed(database.pool, projectName);
  if (role === null || project === null) {
    await recordAudit(database.pool, { project, action: "login.deny", subject: projectName });
    throw new BerthError("forbidden", `${person.name} has no role in a project ${projectName}.`, {
      advice: "Roles come from the groups of the identity provider: BERTH_OIDC_ROLES of the server says which.",
    });
  }
  const { token, hash } = newSecretToken("api");
  const id = newId("apiToken");
  const { lifetimeSeconds } = login;
  const row = await database.transaction(async (client) => {
    const details = { token: id, role, lifetimeSeconds };
    await recordAudit(client, { project, action: "login.succeed", subject: person.name, details });
    return insertToken(client, { id, project, name: person.name, role, hash, createdBy: "login", lifetimeSeconds });
  });
  return { ...shownToken(row), token };
}

function requireLogin({ login }: Services): Login {
  if (login !== null) return login;
  throw new BerthError("conflict", "This server has no identity provider to log in with.", {
    advice: "Use an API token, or set BERTH_OIDC_ISSUER and BERTH_OIDC_CLIENT_ID of the server.",
  });
}
