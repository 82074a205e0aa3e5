import fastifySwagger from "@fastify/swagger";
import type { FastifyInstance } from "fastify";
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from "fastify-type-provider-zod";
import { z } from "zod";
import { ERROR_STATUS, ErrorBody, type ErrorCode } from "../../protocol/errors.ts";
import { defineRoute, type Route } from "./route.ts";

const schemaRegistry = z.registry<{ id: string }>();
schemaRegistry.add(ErrorBody, { id: "Error" });

const transform = createJsonSchemaTransform({ schemaRegistry });

const BINARY = { type: "string", format: "binary" };

export async function addOpenApi(app: FastifyInstance, version: string): Promise<void> {
  await app.register(fastifySwagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Berth",
        version,
        description: "Runs pipelines. Every answer of 4xx and 5xx has the body of the schema Error.",
        license: { name: "Apache-2.0", identifier: "Apache-2.0" },
      },
      components: { securitySchemes: SECURITY_SCHEMES },
    },
    transform: (document) => {
      const { schema, url } = transform(document);
      const { route } = (document.route as { config?: { route?: Route } }).config ?? {};
      return { schema: route === undefined ? schema : withBytes({ ...schema }, route), url };
    },
    transformObject: createJsonSchemaTransformObject({ schemaRegistry }),
  });
}

const SECURITY_SCHEMES = {
  token: { type: "http", scheme: "bearer", description: "An API token (brt_…)." },
  registration: { type: "http", scheme: "bearer", description: "A registration token (brr_…), used up by the call." },
  agent: {
    type: "apiKey",
    in: "header",
    name: "signature",
    description:
      "HTTP message signature (RFC 9421, Ed25519) by the worker's key; with it go `signature-input`, \
`content-digest` and `berth-boot`.",
  },
  webhook: {
    type: "apiKey",
    in: "header",
    name: "webhook-signature",
    description:
      "HMAC-SHA256 by the trigger's secret (Standard Webhooks); with it go `webhook-id` and `webhook-timestamp`.",
  },
} as const;

const SCHEME_OF_ACCESS = { role: "token", agent: "agent", registration: "registration", webhook: "webhook" } as const;

export function securityOf(route: Route): Record<string, string[]>[] {
  const { kind } = route.access;
  return kind === "public" ? [] : [{ [SCHEME_OF_ACCESS[kind]]: [] }];
}

/** `GET /runs/:run/events` → `getRunsRunEvents`. */
export function operationId(route: Route): string {
  const words = route.path.split(/[^A-Za-z0-9]+/).filter((word) => word !== "");
  return route.method.toLowerCase() + words.map((word) => word[0]!.toUpperCase() + word.slice(1)).join("");
}

const ERRORS_OF_ACCESS = {
  public: ["too_many_requests"],
  role: ["unauthenticated", "forbidden", "not_found", "too_many_requests"],
  agent: ["unauthenticated", "signature_expired", "stale_boot"],
  registration: ["unauthenticated", "too_many_requests"],
  webhook: ["unauthenticated", "signature_expired", "too_many_requests"],
} as const satisfies Record<Route["access"]["kind"], readonly ErrorCode[]>;

/** The answers of a route by status: its own, and the errors that it, its access and its input can lead to. */
export function answerSchemas(route: Route): Record<string, unknown> {
  const codes: ErrorCode[] = [
    "internal",
    "unavailable",
    // Every route refuses a parameter that it does not know.
    "invalid_request",
    "headers_too_large",
    ...ERRORS_OF_ACCESS[route.access.kind],
    ...(route.errors ?? []),
  ];
  const { body, response } = route.schemas;
  if (body !== undefined) codes.push("invalid_body", "request_timeout", "payload_too_large", "unsupported_media_type");
  if (route.rawBody !== undefined) codes.push("payload_too_large", "unsupported_media_type");
  const answers: Record<string, unknown> = {};
  for (const code of codes) answers[ERROR_STATUS[code]] = ErrorBody;
  if (response === null) answers[204] = z.null().describe("Done.");
  else if (response !== undefined) answers[route.status ?? 200] = response;
  return answers;
}

/** Bodies and answers that are bytes are no schema of zod. */
function withBytes(schema: Record<string, unknown>, route: Route): Record<string, unknown> {
  const request = route.rawBody === undefined ? {} : { body: BINARY, consumes: [route.rawBody.contentType] };
  if (route.streams === undefined) return { ...schema, ...request };
  const answers = schema.response as Record<string, unknown>;
  // Some answer in JSON as well, to whoever accepts no stream.
  const json = route.schemas.response === undefined ? {} : { "application/json": { schema: answers[200] } };
  const answer = { description: "The bytes.", content: { [route.streams]: { schema: BINARY }, ...json } };
  return { ...schema, ...request, response: { ...answers, 200: answer } };
}

export const openapiRoute: Route = defineRoute({
  method: "GET",
  path: "/openapi.json",
  access: { kind: "public" },
  summary: "This API as an OpenAPI 3.1 document",
  tag: "meta",
  schemas: { response: z.record(z.string(), z.unknown()) },
  handler: async ({ request }) => request.server.swagger(),
});
