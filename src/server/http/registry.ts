import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { Name } from "../../protocol/names.ts";
import { withinRequest } from "../request-scope.ts";
import type { Services } from "../services.ts";
import { authenticate, type Caller } from "./authenticate.ts";
import { actorOf } from "./callers.ts";
import { Denials } from "./denials.ts";
import { answerSchemas, operationId, securityOf } from "./openapi.ts";
import type { RateLimits } from "./rate-limits.ts";
import { checkAbsentBody, checkContentType } from "./request-body.ts";
import type { RequestSignals } from "./request-signals.ts";
import type { Route } from "./route.ts";

export const API_PREFIX = "/api/v1";

declare module "fastify" {
  interface FastifyContextConfig {
    /** Set by the registry on each route. */
    route?: Route;
  }
  interface FastifyRequest {
    /** Set once access was decided. */
    caller: Caller | null;
    /** The database's clock, seconds since 1970, where this request read it. */
    serverTime: number | null;
    /** SHA-256 of the body, set once `checkBody` of the caller found nothing wrong with it. */
    checkedBody: Buffer | null;
  }
}

/**
 * The only way into the HTTP server. Whatever is registered past it is refused when the server starts, and a request
 * reaches a handler only after its route's access rule was met.
 */
export function addRoutes(
  app: FastifyInstance,
  services: Services,
  { signals, rates }: { readonly signals: RequestSignals; readonly rates: RateLimits },
  routes: ReadonlyMap<string, readonly Route[]>,
): void {
  const denials = new Denials(services);
  const registered = new Set([...routes.values()].flat());
  app.decorateRequest("caller", null);
  app.decorateRequest("serverTime", null);
  app.decorateRequest("checkedBody", null);
  app.addHook("onRoute", ({ method, url, config }) => {
    if (config?.route === undefined || !registered.has(config.route)) {
      throw new Error(`${String(method)} ${url} was not registered through the route registry`);
    }
  });
  app.addHook("onRequest", async (request) => {
    const { route } = request.routeOptions.config;
    // Only the answer for unknown paths has none.
    if (route === undefined) return;
    rates.arrived(request, route);
    request.caller = await authenticate(request, route, services, denials).catch((error: unknown) => {
      rates.refused(request, route, error);
      throw error;
    });
    rates.identified(request.caller.principal);
    checkContentType(request, route);
  });
  app.addHook("preValidation", async (request) => checkAbsentBody(request));
  for (const [prefix, ofPrefix] of routes)
    for (const route of ofPrefix) addRoute(app, { signals, denials }, prefix, route);
}

/** What every request works with. */
interface Shared {
  readonly signals: RequestSignals;
  readonly denials: Denials;
}

function addRoute(app: FastifyInstance, shared: Shared, prefix: string, route: Route): void {
  const { params, body } = route.schemas;
  app.route({
    method: route.method,
    url: prefix + route.path,
    config: { route },
    ...(route.maxBodyBytes === undefined ? {} : { bodyLimit: route.maxBodyBytes }),
    schema: {
      operationId: operationId(route),
      summary: route.summary,
      tags: [route.tag],
      security: securityOf(route),
      querystring: querySchema(route),
      ...(params === undefined ? {} : { params: params.strict() }),
      ...(body === undefined ? {} : { body }),
      response: answerSchemas(route),
    },
    handler: async (request, reply) => await handle(route, shared, request, reply),
  });
}

async function handle(route: Route, { signals, denials }: Shared, request: FastifyRequest, reply: FastifyReply) {
  const { caller } = request;
  // Deny by default, even if a hook were lost.
  if (caller === null || (caller.checkBody !== undefined && request.checkedBody === null)) {
    throw new Error("a request reached its handler without an access decision");
  }
  const actor = actorOf(caller.principal);
  const scope = { actor, request: request.id, address: request.ip };
  const result = await withinRequest(scope, () =>
    route.handler({
      params: request.params as never,
      query: withoutProject(request.query) as never,
      body: request.body,
      principal: caller.principal,
      project: caller.project,
      request,
      reply,
      signal: signals.signalOf(reply.raw),
    }),
  ).catch(async (error: unknown) => {
    await denials.denied(request, error, actor, caller.project);
    throw error;
  });
  if (reply.sent || route.schemas.response === undefined) return result;
  if (route.schemas.response === null) return reply.code(204).send();
  reply.code(route.status ?? 200);
  return result;
}

/** Unknown query parameters are refused; a token of the whole installation names its project in each request. */
function querySchema(route: Route): z.ZodObject {
  const own = route.schemas.query ?? z.object({});
  return (route.access.kind === "role" ? own.extend({ project: Name.optional() }) : own).strict();
}

function withoutProject(query: unknown): unknown {
  const { project: _, ...rest } = query as Record<string, unknown>;
  return rest;
}
