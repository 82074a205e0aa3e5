import type { FastifyRequest } from "fastify";
import { BerthError } from "../../protocol/errors.ts";
import { Name } from "../../protocol/names.ts";
import { hashToken, TOKEN_PREFIX } from "../secret-token.ts";
import type { Services } from "../services.ts";
import { projectOfRegistrationToken } from "../store/registration-tokens.ts";
import { findCredential, touchToken } from "../store/tokens.ts";
import { authenticateAgent } from "./authenticate-agent.ts";
import { authenticateWebhook } from "./authenticate-webhook.ts";
import { actorOf } from "./callers.ts";
import type { Denials } from "./denials.ts";
import { type Principal, ROLES, type Role, type Route } from "./route.ts";
import { requireSameOrigin, sessionCookie } from "./session-cookie.ts";

/** Who calls, and the project that the call is about. */
export interface Caller {
  readonly principal: Principal;
  /** Empty where a route is about no project: public ones. */
  readonly project: string;
  /** What is wrong with the body, where who calls is only known when it is there. */
  readonly checkBody?: (body: Buffer) => BerthError | null;
}

/**
 * The one place where access is decided, before anything of the body is read. Each route takes one kind of credential:
 * with none, or with another kind, the answer is 401; with a valid one that may not, 403.
 */
export async function authenticate(
  request: FastifyRequest,
  route: Route,
  services: Services,
  denials: Denials,
): Promise<Caller> {
  try {
    const caller = await callerOf(request, route, services);
    if (route.access.kind === "role") await requireRole(request, caller, route.access.role, denials);
    return caller;
  } catch (error) {
    await denials.refused(request, error);
    throw error;
  }
}

async function callerOf(request: FastifyRequest, route: Route, services: Services): Promise<Caller> {
  const { access } = route;
  if (access.kind === "role") return await authenticateToken(request, services);
  if (access.kind === "agent") return await authenticateAgent(request, route, access.boot, services);
  if (access.kind === "registration") return await authenticateRegistration(request, services);
  if (access.kind === "webhook") return await authenticateWebhook(request, services);
  access.kind satisfies "public";
  return { principal: { kind: "anonymous" }, project: "" };
}

async function authenticateToken(request: FastifyRequest, services: Services): Promise<Caller> {
  const token = bearerOrSession(request);
  const projectName = namedProject(request);
  const found = token.startsWith(TOKEN_PREFIX.api)
    ? await findCredential(services.database.pool, hashToken(token), projectName)
    : null;
  if (found === null) {
    throw new BerthError("unauthenticated", "The API token is not valid: unknown, expired or revoked.", {
      advice: "Make a new one with `berth token create`.",
    });
  }
  if (found.touch) await touchToken(services.database.pool, found.id);
  if (found.requestProject === null) throw new BerthError("not_found", `There is no project ${projectName}.`);
  const { id, name, role, project } = found;
  return { principal: { kind: "token", tokenId: id, name, role, project }, project: found.requestProject };
}

async function requireRole(
  request: FastifyRequest,
  { principal, project }: Caller,
  needed: Role,
  denials: Denials,
): Promise<void> {
  if (principal.kind !== "token") throw new Error(`a role was asked of ${principal.kind}`);
  const { name, role } = principal;
  if (ROLES.indexOf(role) <= ROLES.indexOf(needed)) return;
  const error = new BerthError("forbidden", `This needs the role ${needed}; the token ${name} has ${role}.`);
  await denials.denied(request, error, actorOf(principal), project);
  throw error;
}

async function authenticateRegistration(request: FastifyRequest, services: Services): Promise<Caller> {
  const token = bearer(request);
  const project = token.startsWith(TOKEN_PREFIX.registration)
    ? await projectOfRegistrationToken(services.database.pool, hashToken(token))
    : null;
  if (project === null) throw unusableRegistrationToken();
  return { principal: { kind: "registration", token }, project };
}

export function unusableRegistrationToken(): BerthError {
  return new BerthError("unauthenticated", "The registration token is not valid: unknown, used, expired or revoked.", {
    advice: "Make a new one; each registers one worker.",
  });
}

/** A header is always meant; a cookie is also sent where nobody meant to, which is why it is asked where from. */
function bearerOrSession(request: FastifyRequest): string {
  if (request.headers.authorization !== undefined) return bearer(request);
  const token = sessionCookie(request);
  if (token === null) return bearer(request);
  requireSameOrigin(request);
  return token;
}

const BEARER = /^Bearer +([A-Za-z0-9_-]{1,200}) *$/i;

function bearer(request: FastifyRequest): string {
  const token = BEARER.exec(request.headers.authorization ?? "")?.[1];
  if (token !== undefined) return token;
  throw new BerthError("unauthenticated", "This request carries no token.", {
    advice: "Send `authorization: Bearer TOKEN`.",
  });
}

/** The query has not been validated yet: access is decided before that. */
function namedProject(request: FastifyRequest): string | null {
  const named = (request.query as Record<string, unknown>).project;
  if (named === undefined) return null;
  const name = Name.safeParse(named);
  if (name.success) return name.data;
  throw new BerthError("invalid_request", "The request is not valid.", {
    problems: name.error.issues.map((issue) => ({ path: "query.project", message: issue.message })),
  });
}
