import type { FastifyError, FastifyInstance, FastifyRequest } from "fastify";
import { hasZodFastifySchemaValidationErrors } from "fastify-type-provider-zod";
import { BerthError, type Problem } from "../../protocol/errors.ts";
import type { WebFiles } from "./web-files.ts";

/** Turns whatever was thrown into an error of the catalogue; nothing of the inside crosses the API. */
export function toBerthError(error: unknown): BerthError {
  if (error instanceof BerthError) return error;
  const options = { cause: error };
  if (hasZodFastifySchemaValidationErrors(error)) {
    return new BerthError("invalid_request", "The request is not valid.", { ...options, problems: problemsOf(error) });
  }
  const { code, statusCode, message } = error as Partial<FastifyError>;
  // What Node says of a request whose sender went away.
  if (code === "ECONNRESET" && message === "aborted") {
    return new BerthError("invalid_body", "The body ended early.", options);
  }
  switch (code ?? "") {
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return new BerthError("payload_too_large", "The body is too large.", options);
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return new BerthError("unsupported_media_type", "The body must be application/json.", options);
    case "FST_ERR_CTP_INVALID_JSON_BODY":
    case "FST_ERR_CTP_EMPTY_JSON_BODY":
      return new BerthError("invalid_body", "The body is not valid JSON, or has a key named __proto__.", options);
    case "ENOSPC":
    case "EDQUOT":
    case "53100": // disk_full
      return new BerthError("storage_full", "The server's disk is full.", {
        ...options,
        advice: "Free space on the server; the same request works again after that.",
      });
  }
  if (isDataException(code)) {
    return new BerthError("invalid_request", "The request holds a value that cannot be stored.", {
      ...options,
      advice: "Numbers must be below 2,147,483,648, times after the year 0, and text must not hold NUL characters.",
    });
  }
  if (isDatabaseAway(error)) {
    return new BerthError("unavailable", "The database does not answer.", {
      ...options,
      advice: "Try again in a moment.",
    });
  }
  // What fastify itself refuses, such as a content-length that does not match, or JSON with a __proto__ key.
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new BerthError("invalid_body", message ?? "The request is not valid.", options);
  }
  return new BerthError(
    "internal",
    "The server failed at this request; its log says more under the request id.",
    options,
  );
}

function problemsOf(error: {
  validation: readonly { instancePath: string; message?: string }[];
  validationContext?: string | undefined;
}): Problem[] {
  const place = { querystring: "query", params: "params", body: "body" }[error.validationContext ?? ""] ?? "";
  return error.validation.map(({ instancePath, message }) => ({
    path: [place, ...instancePath.split("/")].filter((part) => part !== "").join("."),
    message: message ?? "is not valid",
  }));
}

/**
 * What PostgreSQL says of numbers out of range (22003), times that it does not have (22007, 22008), NUL in text (22021) and
 * in JSON (22P05), and of half characters (22P02).
 */
function isDataException(code: unknown): boolean {
  return typeof code === "string" && ["22003", "22007", "22008", "22021", "22P05", "22P02"].includes(code);
}

/** Connection problems, and a PostgreSQL that is starting or stopping (class 57P and 08), overloaded, or deadlocked. */
export function isDatabaseAway(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (typeof code === "string") {
    return /^(08|57P)/.test(code) || ["ECONNREFUSED", "ECONNRESET", "EPIPE", "53300", "57014", "40P01"].includes(code);
  }
  return (
    typeof message === "string" &&
    /Connection terminated|timeout exceeded when trying to connect|is not queryable/.test(message)
  );
}

/** For 429 where nothing more is known. */
const RETRY_AFTER_SECONDS = 30;

/** What is no route may be a page of the web UI. */
export function addErrorAnswers(
  app: FastifyInstance,
  allowedMethods: (path: string) => readonly string[],
  web: WebFiles | null,
): void {
  app.setErrorHandler(async (error, request, reply) => {
    const known = toBerthError(error);
    if (known.status >= 500) request.log.error({ err: error, ...about(request) }, known.message);
    if (known.status === 401) reply.header("www-authenticate", "Bearer");
    if (known.status === 503) reply.header("retry-after", "1");
    if (known.status === 429)
      reply.header("retry-after", Number(known.details?.retryAfterSeconds ?? RETRY_AFTER_SECONDS));
    return reply.code(known.status).type("application/json").send(known.toBody(request.id));
  });
  app.setNotFoundHandler(async (request, reply) => {
    if (web !== null && (await web.answer(request, reply))) return reply;
    const path = request.url.split("?")[0]!;
    const methods = allowedMethods(path);
    const error =
      methods.length === 0
        ? new BerthError("not_found", `There is nothing at ${path.slice(0, 200)}.`)
        : new BerthError("method_not_allowed", `${request.method} is not possible here; ${methods.join(", ")} is.`);
    if (methods.length > 0) reply.header("allow", methods.join(", "));
    return reply.code(error.status).send(error.toBody(request.id));
  });
}

/** What the log says of a request: never its headers, which hold credentials. */
export function about(request: FastifyRequest): Record<string, unknown> {
  return { requestId: request.id, method: request.method, url: request.url };
}
