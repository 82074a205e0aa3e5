import type { Agent, IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { tlsProblem } from "../std/tls-problem.ts";
import { type TlsTrust, TrustedConnections } from "../std/tls-trust.ts";

/**
 * Importing them as modules would evaluate every export, and with WebSocket load all of undici: 6 MB for each thread
 * that does.
 */
const http = process.getBuiltinModule("node:http");
const https = process.getBuiltinModule("node:https");

/**
 * One HTTP exchange with three deadlines, because a connection can hang in three ways: never come up, go silent, or
 * trickle for ever. `node:http` with a keep-alive agent is used instead of `fetch`: it costs about a third of the CPU
 * time per small request, and a streamed body needs no web streams. This file imports no schemas: the heartbeat's thread
 * lives on it.
 */
export interface HttpRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string | number>>;
  /** A stream is read once: such a request is repeated by calling again with a new one. */
  readonly body?: Uint8Array | string | Readable;
  readonly deadlines: Deadlines;
  readonly signal?: AbortSignal | undefined;
}

export interface Deadlines {
  /** Until the connection (with TLS) is up. */
  readonly connectMs: number;
  /** Longest silence, in either direction. */
  readonly idleMs: number;
  /** For the whole exchange, body included. */
  readonly totalMs: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readable;
}

/** Most connections of a pool. */
const CONNECTIONS_MAX = 24;
/** Idle connections kept for the next request; more would only be closed by proxies. */
const IDLE_CONNECTIONS_MAX = 8;
/** Answers of the agent API are small; what is larger is not one. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

/** Connections to one server, kept open between requests. */
export interface ConnectionPool {
  readonly agent: Agent;
  /** Null: what Node trusts by itself. */
  readonly trusted: TrustedConnections | null;
  destroy(): void;
}

/** @param trust by what the server is known; without it, by what Node trusts */
export function connectionPool(url: URL, trust?: TlsTrust): ConnectionPool {
  const options = { keepAlive: true, maxSockets: CONNECTIONS_MAX, maxFreeSockets: IDLE_CONNECTIONS_MAX };
  const isSecure = url.protocol === "https:";
  const agent = isSecure ? new https.Agent(options) : new http.Agent(options);
  const trusted = isSecure && trust !== undefined ? new TrustedConnections(trust) : null;
  return { agent, trusted, destroy: () => agent.destroy() };
}

/** The server could not be reached, or did not answer in time. Says nothing about what it did. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
}

/** Sends a request and resolves with the answer's head; the body is still to be read, under the same deadlines. */
export async function sendRequest(pool: ConnectionPool, request: HttpRequest): Promise<HttpAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
  const { deadlines, signal } = request;
  signal?.throwIfAborted();
  const send = request.url.protocol === "https:" ? https.request : http.request;
  const options = { method: request.method, agent: pool.agent, headers: request.headers };
  const outgoing = send(request.url, { ...options, ...secureOptions(pool, request) });

  const expire = (what: string, ms: number) =>
    outgoing.destroy(new Error(`no ${what} within ${Math.round(ms / 100) / 10} s`));
  const total = setTimeout(() => expire("complete answer", deadlines.totalMs), deadlines.totalMs);
  let connect: NodeJS.Timeout | undefined;
  const abort = () => outgoing.destroy(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  outgoing.setTimeout(deadlines.idleMs, () => expire("byte", deadlines.idleMs));
  outgoing.on("socket", (socket) => {
    if (!socket.connecting) return;
    connect = setTimeout(() => expire("connection", deadlines.connectMs), deadlines.connectMs);
    socket.once(request.url.protocol === "https:" ? "secureConnect" : "connect", () => clearTimeout(connect));
  });
  // "close" comes after the answer was read to its end, or after any failure: the end of every deadline.
  outgoing.on("close", () => {
    clearTimeout(total);
    clearTimeout(connect);
    signal?.removeEventListener("abort", abort);
  });
  outgoing.on("error", (error) => reject(signal?.aborted ? signal.reason : unavailable(request, error)));
  outgoing.on("response", (incoming) => {
    // The socket is handed back to the pool with its answer, so errors of the request now belong to the body.
    resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: incoming });
  });

  const { body } = request;
  if (body === undefined || typeof body === "string" || body instanceof Uint8Array) outgoing.end(body);
  else pipeline(body, outgoing).catch((error: Error) => reject(unavailable(request, error)));
  return promise;
}

function secureOptions({ trusted }: ConnectionPool, request: HttpRequest) {
  try {
    return trusted?.options();
  } catch (error) {
    throw unavailable(request, error);
  }
}

/** Reads an answer's body into memory. */
export async function readBody(request: HttpRequest, answer: HttpAnswer): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > ANSWER_BYTES_MAX) throw new Error(`the answer is longer than ${ANSWER_BYTES_MAX} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw request.signal?.aborted ? request.signal.reason : unavailable(request, error);
  }
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size);
}

function unavailable(request: HttpRequest, cause: unknown): ConnectionError {
  const words = cause instanceof Error ? cause.message || String((cause as NodeJS.ErrnoException).code) : String(cause);
  const why = tlsProblem(cause)?.what ?? words;
  return new ConnectionError(`${request.method} ${request.url.origin}${request.url.pathname}: ${why}`, { cause });
}
