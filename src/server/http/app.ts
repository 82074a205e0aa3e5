import { randomBytes } from "node:crypto";
import type { ServerOptions } from "node:http";
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from "fastify";
import { serializerCompiler, validatorCompiler } from "fastify-type-provider-zod";
import type { Services } from "../services.ts";
import { addBodyPace, BODY_PACE, type BodyPace } from "./body-pace.ts";
import { about, addErrorAnswers } from "./errors.ts";
import { addOpenApi, openapiRoute } from "./openapi.ts";
import { NO_RATES, type RateConfig, RateLimits } from "./rate-limits.ts";
import { clientError, refuseOn } from "./raw-answers.ts";
import { API_PREFIX, addRoutes } from "./registry.ts";
import { addBodyParsers, JSON_BODY_MAX_BYTES } from "./request-body.ts";
import { RequestSignals } from "./request-signals.ts";
import type { Route } from "./route.ts";
import type { WebFiles } from "./web-files.ts";

/** A connection on which nothing moves for this long is closed: longer than any poll is held open. */
const IDLE_TIMEOUT_MS = 75_000;
const KEEP_ALIVE_TIMEOUT_MS = 65_000;
/** From first to last byte of a request: bounds the slowest upload of a large blob. */
const REQUEST_TIMEOUT_MS = 6 * 60 * 60_000;
const HEADERS_TIMEOUT_MS = 20_000;
/** The longest path parameter is the key of a step run. */
const PARAM_MAX_CHARS = 2_000;

export interface AppOptions {
  readonly version: string;
  /** Ends what waits (long polls, event streams) and refuses new requests once aborted. */
  readonly stop?: AbortSignal;
  readonly tls?: AppTls | null;
  /** How often one caller may ask; default as often as it likes. */
  readonly rates?: RateConfig;
  /** How slowly a body may arrive; default BODY_PACE. */
  readonly bodyPace?: BodyPace;
  /** The built web UI; default none. */
  readonly web?: WebFiles | null;
  /** Addresses and networks of proxies that are believed whom they ask for; default none. */
  readonly trustedProxies?: readonly string[];
}

export interface AppTls {
  /** In PEM. */
  readonly cert: string;
  readonly key: string;
  /** Tells browsers not to use plain HTTP any more. */
  readonly strictTransport: boolean;
}

/** What the API answers is no page. */
const NOTHING = "default-src 'none'; frame-ancestors 'none'";
/** Older versions have known ways in. */
const TLS_VERSION_MIN = "TLSv1.2";
const STRICT_TRANSPORT = `max-age=${365 * 24 * 60 * 60}`;

/** The HTTP server with exactly these routes, not listening yet. */
export async function createApp(
  services: Services,
  routes: readonly Route[],
  options: AppOptions,
): Promise<FastifyInstance> {
  const log: FastifyBaseLogger = services.log;
  const app = Fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: newRequestId,
    clientErrorHandler: ({ code }, socket) => {
      // Nobody is there any more.
      if (code !== "ECONNRESET" && !socket.destroyed) refuseOn(socket, clientError(code), newRequestId());
    },
    exposeHeadRoutes: false,
    bodyLimit: JSON_BODY_MAX_BYTES,
    connectionTimeout: IDLE_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    ...transport(options.tls ?? null),
    trustProxy: [...(options.trustedProxies ?? [])],
    routerOptions: { maxParamLength: PARAM_MAX_CHARS },
  });
  const signals = new RequestSignals();
  options.stop?.addEventListener("abort", () => signals.stop(), { once: true });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  addBodyParsers(app, new Set(routes.flatMap((route) => route.rawBody?.contentType ?? [])));
  addBodyPace(app, options.bodyPace ?? BODY_PACE);
  addErrorAnswers(app, (path) => methodsAt(routes, path), options.web ?? null);
  addHeaders(app, options);
  addRequestLog(app);
  await addOpenApi(app, options.version);
  addRoutes(
    app,
    services,
    { signals, rates: new RateLimits(options.rates ?? NO_RATES) },
    new Map([
      [API_PREFIX, routes],
      ["/api", [openapiRoute]],
    ]),
  );
  return app;
}

const newRequestId = () => `req_${randomBytes(9).toString("base64url")}`;

/** Fastify reads one of the two; its types know a server of one kind only, and all that is used of it here is the same. */
function transport(tls: AppTls | null): { http: ServerOptions } {
  if (tls === null) return { http: { headersTimeout: HEADERS_TIMEOUT_MS } };
  const https = { cert: tls.cert, key: tls.key, minVersion: TLS_VERSION_MIN, headersTimeout: HEADERS_TIMEOUT_MS };
  return { https } as unknown as { http: ServerOptions };
}

function addHeaders(app: FastifyInstance, { stop, tls }: AppOptions): void {
  app.addHook("onSend", async (request, reply) => {
    // The client finds another replica for its next request, instead of keeping this one from ending.
    if (stop?.aborted) reply.header("connection", "close");
    reply.header("berth-server-time", request.serverTime ?? Math.floor(Date.now() / 1000));
    reply.header("berth-request-id", request.id);
    reply.header("x-content-type-options", "nosniff");
    reply.header("x-frame-options", "DENY");
    reply.header("referrer-policy", "no-referrer");
    if (!reply.hasHeader("content-security-policy")) reply.header("content-security-policy", NOTHING);
    if (tls?.strictTransport) reply.header("strict-transport-security", STRICT_TRANSPORT);
    if (!reply.hasHeader("cache-control")) reply.header("cache-control", "no-store");
  });
}

function addRequestLog(app: FastifyInstance): void {
  app.addHook("onResponse", async (request, reply) => {
    request.log.debug({ ...about(request), status: reply.statusCode, ms: Math.round(reply.elapsedTime) }, "request");
  });
}

/** The methods that a path has routes for: what tells "nothing here" from "not like this". */
function methodsAt(routes: readonly Route[], path: string): string[] {
  return routes.filter((route) => patternOf(API_PREFIX + route.path).test(path)).map((route) => route.method);
}

function patternOf(path: string): RegExp {
  return new RegExp(`^${path.replaceAll(".", "\\.").replace(/:[A-Za-z0-9]+/g, "[^/]+")}$`);
}
