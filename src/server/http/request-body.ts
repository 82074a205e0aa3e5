import { createHash, type Hash } from "node:crypto";
import { Readable, Transform } from "node:stream";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { BerthError } from "../../protocol/errors.ts";
import { contentDigest, UNSIGNED_PAYLOAD } from "../../protocol/signature.ts";
import type { Route } from "./route.ts";

/** A pipeline file, or EVENTS_PER_REQUEST events with small blobs inside, and ample room. */
export const JSON_BODY_MAX_BYTES = 32 * 1024 * 1024;

/** How long a client that was refused may go on sending before its connection is closed. */
const DISCARD_MAX_MS = 5_000;

/** Bodies are JSON, or bytes for the routes that ask for them; whichever, they are what the signature says they are. */
export function addBodyParsers(app: FastifyInstance, rawTypes: ReadonlySet<string>): void {
  const parseJson = app.getDefaultJsonParser("error", "error");
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, (request, body, done) => {
    const wrong = mismatch(request, body as Buffer);
    if (wrong !== null) done(wrong);
    else void parseJson(request, body.toString(), done);
  });
  // Whoever was refused may still be sending: what nobody reads keeps its connection from ending.
  app.addHook("onResponse", async ({ body }) => {
    if (body instanceof Readable && !body.readableEnded) body.destroy();
  });
  for (const type of rawTypes) {
    app.addContentTypeParser(type, (request, payload, done) => done(null, guardedStream(request, payload)));
  }
}

export function hasBody({ headers }: FastifyRequest): boolean {
  const { "content-length": length, "transfer-encoding": encoding } = headers;
  return encoding !== undefined || (length !== undefined && length !== "0");
}

/** 415 for a body of another type than the route's, before any of it is read. */
export function checkContentType(request: FastifyRequest, route: Route): void {
  const { "content-type": type, "content-length": length } = request.headers;
  if (!hasBody(request) || request.method === "GET") return;
  const wanted = route.rawBody?.contentType ?? "application/json";
  const given = type?.split(";")[0]?.trim().toLowerCase();
  if (given !== wanted) {
    throw new BerthError("unsupported_media_type", `The body must be ${wanted}, not ${given ?? "untyped"}.`);
  }
  const maxBytes = route.rawBody === undefined ? (route.maxBodyBytes ?? JSON_BODY_MAX_BYTES) : route.rawBody.maxBytes;
  if (maxBytes !== null && Number(length) > maxBytes) throw tooLarge(maxBytes);
}

/** For a request without a body, which no parser sees. */
export function checkAbsentBody(request: FastifyRequest): void {
  // `null` is a body too.
  if ((request.body !== undefined && request.body !== null) || request.checkedBody !== null) return;
  const wrong = mismatch(request, Buffer.alloc(0));
  if (wrong !== null) throw wrong;
}

function signedDigest(request: FastifyRequest): string | null {
  const digest = request.headers["content-digest"];
  const isAgent = request.routeOptions.config.route?.access.kind === "agent";
  return isAgent && typeof digest === "string" && digest !== UNSIGNED_PAYLOAD ? digest : null;
}

function mismatch(request: FastifyRequest, body: Buffer): BerthError | null {
  const { caller } = request;
  if (caller?.checkBody !== undefined) {
    const refused = caller.checkBody(body);
    if (refused === null) request.checkedBody = createHash("sha256").update(body).digest();
    return refused;
  }
  const expected = signedDigest(request);
  return expected === null || expected === contentDigest(body) ? null : notTheSignedBody();
}

function notTheSignedBody(): BerthError {
  return new BerthError("unauthenticated", "The body is not the one that was signed.");
}

/** Passes the body on while counting and hashing it; fails before its end when it is too long or not the signed one. */
function guardedStream(request: FastifyRequest, payload: Readable): Readable {
  const maxBytes = request.routeOptions.config.route?.rawBody?.maxBytes ?? null;
  const expected = signedDigest(request);
  // Blobs: they have an offset and a digest of their own, and another stage would cost a tenth of the transfer.
  if (maxBytes === null && expected === null) return payload;
  const hash: Hash | null = expected === null ? null : createHash("sha256");
  let seen = 0;
  const guard = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      seen += chunk.length;
      hash?.update(chunk);
      if (maxBytes !== null && seen > maxBytes) done(tooLarge(maxBytes));
      else done(null, chunk);
    },
    flush(done) {
      const wrong = hash !== null && `sha-256=:${hash.digest("base64")}:` !== expected;
      done(wrong ? notTheSignedBody() : null);
    },
  });
  payload.once("error", (error) => guard.destroy(error));
  payload.once("close", () => {
    if (!payload.readableEnded) guard.destroy(new BerthError("invalid_body", "The body ended early."));
  });
  guard.once("close", () => {
    if (!payload.readableEnded) discardRest(payload);
  });
  return payload.pipe(guard);
}

/** Closing at once could take the answer away before it is read. */
function discardRest(payload: Readable): void {
  payload.unpipe();
  payload.resume();
  const timer = setTimeout(() => payload.destroy(), DISCARD_MAX_MS).unref();
  payload.once("close", () => clearTimeout(timer));
}

function tooLarge(maxBytes: number): BerthError {
  return new BerthError("payload_too_large", `The body is larger than ${maxBytes} bytes.`);
}
