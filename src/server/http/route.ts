import type { FastifyReply, FastifyRequest } from "fastify";
import type { z } from "zod";
import type { AuditAction } from "../../protocol/audit.ts";
import type { ErrorCode } from "../../protocol/errors.ts";
import type { WebhookMessage } from "../../protocol/webhook-signature.ts";

/**
 * A route is a value: where it is, who may call it, what goes in and out. `registry.ts` is the only place that hands
 * routes to the HTTP server; a route without an access rule cannot be written, and one that is not in the registry
 * cannot be reached. The OpenAPI document is generated from the same values.
 */

/** Roles of API tokens, each containing those after it. */
export const ROLES = ["admin", "operator", "developer", "viewer"] as const;
export type Role = (typeof ROLES)[number];

export type Access =
  /** No credentials: health, the OpenAPI document. */
  | { readonly kind: "public" }
  /** An API token with at least this role, in the project that the request names. */
  | { readonly kind: "role"; readonly role: Role }
  /** A worker, by proof of possession. `boot: "current"` also demands that its boot is the newest. */
  | { readonly kind: "agent"; readonly boot: "current" | "new" }
  /** A registration token as bearer; consumed by the handler. */
  | { readonly kind: "registration" }
  /** A signature over the body, by the secret of the trigger that the path names. */
  | { readonly kind: "webhook" };

/** Who calls, as authentication found it. */
export type Principal =
  | { readonly kind: "anonymous" }
  | {
      readonly kind: "token";
      readonly tokenId: string;
      readonly name: string;
      readonly role: Role;
      readonly project: string | null;
    }
  | {
      readonly kind: "worker";
      readonly workerId: string;
      readonly name: string;
      readonly project: string;
      readonly bootId: string;
    }
  | { readonly kind: "registration"; readonly token: string }
  | { readonly kind: "webhook"; readonly trigger: string; readonly message: WebhookMessage };

export interface RouteSchemas {
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  /** JSON body. A route that takes bytes leaves this out and sets `rawBody`. */
  readonly body?: z.ZodType;
  /** JSON answer of 200; null for 204; left out when the handler only streams. */
  readonly response?: z.ZodType | null;
}

type Out<S> = S extends z.ZodType ? z.infer<S> : undefined;

export interface RouteContext<S extends RouteSchemas> {
  readonly params: Out<S["params"]>;
  readonly query: Out<S["query"]>;
  readonly body: Out<S["body"]>;
  readonly principal: Principal;
  /** Id of the project that the request works in, already authorised; every query of a handler is bound to it. */
  readonly project: string;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  /** Aborts when the client went away or the server stops. */
  readonly signal: AbortSignal;
}

/**
 * What a route writes into the audit log, or why nothing. Whoever changes something says it; the handler calls
 * `recordAudit` with this action in the transaction of the change, and a test looks for the row.
 */
type Audited =
  | { readonly method: "GET"; readonly audit?: never }
  | { readonly method: "POST" | "PUT" | "DELETE"; readonly audit: AuditAction | { readonly none: string } };

/** Of what agents do for a run: it is all in its events, under the worker and the epoch of its lease. */
export const IN_EVENTS = { none: "the events of the run say it" } as const;
/** A POST only because of what it carries. */
export const ONLY_ASKS = { none: "it changes nothing" } as const;
/** Bytes are nobody's before something refers to them. */
export const ONLY_BYTES = { none: "bytes alone; what refers to them is written down" } as const;

export type Route<S extends RouteSchemas = RouteSchemas> = RouteFacts<S> & Audited;

interface RouteFacts<S extends RouteSchemas> {
  /** Below `/api/v1`, such as `/runs/:run`. */
  readonly path: string;
  readonly access: Access;
  readonly summary: string;
  readonly tag: string;
  readonly schemas: S;
  /** Set for routes that read the body as a stream. */
  readonly rawBody?: { readonly contentType: string; readonly maxBytes: number | null };
  /** Of a JSON body, where it is less than JSON_BODY_MAX_BYTES. */
  readonly maxBodyBytes?: number;
  /** Content type of a streamed answer, for the OpenAPI document. */
  readonly streams?: string;
  /** Anybody may ask, and each request is counted as one that proved nothing: rate-limits.ts. */
  readonly counted?: true;
  readonly errors?: readonly ErrorCode[];
  /** Of a JSON answer; 200 where it is left out. */
  readonly status?: 200 | 201;
  handler(context: RouteContext<S>): Promise<unknown>;
}

/** Gives a route literal its types. */
export function defineRoute<const S extends RouteSchemas>(route: Route<S>): Route {
  return route;
}
