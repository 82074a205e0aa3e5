import { BerthError, ErrorBody } from "../protocol/errors.ts";
import { tlsProblem } from "../std/tls-problem.ts";
import { ConnectionError, type HttpAnswer, type HttpRequest } from "./http-request.ts";

/** The error that an answer of 4xx or 5xx stands for. */
export function answerError(request: HttpRequest, answer: HttpAnswer, body: Buffer): BerthError {
  const parsed = ErrorBody.safeParse(jsonOrNull(body));
  if (!parsed.success) return foreignAnswer(request, answer);
  const { code, message, advice, problems, details } = parsed.data.error;
  const retryAfter = Number(answer.headers["retry-after"]);
  return new BerthError(code, `${request.method} ${request.url.pathname}: ${message}`, {
    ...(advice === undefined ? {} : { advice }),
    ...(problems === undefined ? {} : { problems }),
    details: { ...details, ...(retryAfter > 0 ? { retryAfterMs: retryAfter * 1000 } : {}) },
  });
}

/** An answer of 2xx whose body is not what the protocol says: another version, or not a Berth server. */
export function unexpectedAnswer(request: HttpRequest, answer: HttpAnswer, cause: Error): BerthError {
  return new BerthError(
    "unavailable",
    `${request.method} ${request.url.pathname}: the answer is not of this protocol`,
    {
      cause,
      advice: "Use the same version of Berth for server and agent.",
      details: { status: answer.status },
    },
  );
}

/**
 * A status without Berth's error body comes from something in between: a proxy, a load balancer, a captive portal. It
 * says nothing about a lease, whatever its number, so it only means "not reachable now".
 */
function foreignAnswer(request: HttpRequest, answer: HttpAnswer): BerthError {
  return new BerthError(
    "unavailable",
    `${request.method} ${request.url.pathname}: answered ${answer.status} by something else than a Berth server`,
    {
      advice: "Check the server's address and the proxies on the way.",
    },
  );
}

/** A request that got no answer. */
export function noAnswer(error: unknown): unknown {
  if (!(error instanceof ConnectionError)) return error;
  return new BerthError("unavailable", error.message, {
    cause: error,
    advice:
      tlsProblem(error)?.advice ??
      "Check that the server runs, that this machine can reach it, and whether its address is http or https.",
  });
}

function jsonOrNull(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    return null;
  }
}
