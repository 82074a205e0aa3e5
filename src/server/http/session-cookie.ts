import type { FastifyReply, FastifyRequest } from "fastify";
import { BerthError } from "../../protocol/errors.ts";

/**
 * The cookie by which a browser says who it is. Scripts cannot read it, other sites cannot make a browser send it, and over
 * TLS no other host can set it.
 */

/** Over plain HTTP a cookie is not of one port: the name keeps two servers on one host apart. */
function nameFor(request: FastifyRequest): string {
  return request.protocol === "https" ? "__Host-berth" : `berth-${request.port ?? 80}`;
}

const ATTRIBUTES = "Path=/; HttpOnly; SameSite=Strict";

export function setSessionCookie(request: FastifyRequest, reply: FastifyReply, token: string, expiresAt: Date): void {
  const secure = request.protocol === "https" ? "; Secure" : "";
  reply.header(
    "set-cookie",
    `${nameFor(request)}=${token}; Expires=${expiresAt.toUTCString()}; ${ATTRIBUTES}${secure}`,
  );
}

export function clearSessionCookie(request: FastifyRequest, reply: FastifyReply): void {
  setSessionCookie(request, reply, "", new Date(0));
}

/** The token in it; null where there is none. */
export function sessionCookie(request: FastifyRequest): string | null {
  const name = `${nameFor(request)}=`;
  const found = request.headers.cookie?.split(/; */).find((cookie) => cookie.startsWith(name));
  return found?.slice(name.length) || null;
}

/** 403 for what another site made a browser do. */
export function refuseCrossSite(request: FastifyRequest): void {
  if (isSameOrigin(request) === false) throw crossSite();
}

/**
 * 403 for what may come from another site. The cookie is not sent then in any browser of today; this does not rely on that:
 * what writes has to prove where it comes from.
 */
export function requireSameOrigin(request: FastifyRequest): void {
  const found = isSameOrigin(request);
  if (found === false || (found === null && request.method !== "GET")) throw crossSite();
}

/** As the browser says it, which pages cannot change; null where nothing does, as with what is no browser. */
function isSameOrigin({ headers, protocol, host, method }: FastifyRequest): boolean | null {
  const { "sec-fetch-site": site, origin } = headers;
  // `none` is what somebody typed or opened, which never writes.
  if (site !== undefined) return site === "same-origin" || (method === "GET" && site === "none");
  return origin === undefined ? null : origin === `${protocol}://${host}`;
}

function crossSite(): BerthError {
  return new BerthError("forbidden", "This request comes from another site than this server's.", {
    advice: "Programs send `authorization: Bearer TOKEN` instead of a cookie.",
  });
}
