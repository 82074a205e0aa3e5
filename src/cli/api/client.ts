import { setTimeout as sleep } from "node:timers/promises";
import type { z } from "zod";
import { BerthError, ErrorBody } from "../../protocol/errors.ts";
import type { TlsTrust } from "../../std/tls-trust.ts";
import { noAnswerFrom } from "./no-answer.ts";
import { SecureFetch } from "./secure-fetch.ts";

/** Where the server is and how to prove who asks. Asked for on every request: a restart may change the port. */
export interface Endpoint {
  readonly url: string;
  readonly token: string;
  /** By what it is known over TLS; default: what Node and the system trust. */
  readonly trust?: TlsTrust | undefined;
}

export interface RequestOptions {
  /** A list is sent as several parameters of the same name. */
  readonly query?: Readonly<Record<string, string | number | readonly string[] | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** For an answer in JSON that may take longer than most. */
  readonly timeoutMs?: number;
}

type Body = NonNullable<RequestInit["body"]>;

export interface UploadOptions extends RequestOptions {
  readonly contentType: string;
  readonly size: number;
}

/** For one answer in JSON; streams have no limit of their own. */
const REQUEST_TIMEOUT_MS = 30_000;

/** A request that is refused for a moment, because there are too many, is sent so often, within the time limit of its answer. */
const ASKED_MAX = 5;
const RETRY_AFTER_MAX_SECONDS = 5;

/** Berth's API, as commands use it. Every answer is checked against its schema. */
export class ApiClient {
  readonly #endpoint: () => Endpoint;
  readonly #userAgent: string;
  readonly #secure = new SecureFetch();

  constructor(endpoint: () => Endpoint, userAgent = "berth-cli") {
    this.#endpoint = endpoint;
    this.#userAgent = userAgent;
  }

  get server(): string {
    return this.#endpoint().url;
  }

  async get<S extends z.ZodType>(path: string, schema: S, options: RequestOptions = {}): Promise<z.infer<S>> {
    return this.#json("GET", path, schema, options);
  }

  async post<S extends z.ZodType>(
    path: string,
    body: unknown,
    schema: S,
    options: RequestOptions = {},
  ): Promise<z.infer<S>> {
    return this.#json("POST", path, schema, body === undefined ? options : { ...options, body: JSON.stringify(body) });
  }

  async put<S extends z.ZodType>(
    path: string,
    body: unknown,
    schema: S,
    options: RequestOptions = {},
  ): Promise<z.infer<S>> {
    return this.#json("PUT", path, schema, { ...options, body: JSON.stringify(body) });
  }

  /** `z.undefined()` where nothing is answered. */
  async delete<S extends z.ZodType>(path: string, schema: S, options: RequestOptions = {}): Promise<z.infer<S>> {
    return this.#json("DELETE", path, schema, options);
  }

  /** An answer to be read as it comes; the caller reads it to its end or aborts. */
  async stream(path: string, options: RequestOptions = {}): Promise<Response> {
    return this.#send("GET", path, options);
  }

  async upload<S extends z.ZodType>(path: string, bytes: Body, schema: S, options: UploadOptions): Promise<z.infer<S>> {
    const headers = { ...options.headers, "content-type": options.contentType, "content-length": String(options.size) };
    const response = await this.#send("PUT", path, { ...options, headers, body: bytes });
    return schema.parse(await response.json());
  }

  async #json<S extends z.ZodType>(method: string, path: string, schema: S, options: SendOptions): Promise<z.infer<S>> {
    const headers =
      options.body === undefined ? options.headers : { ...options.headers, "content-type": "application/json" };
    const response = await this.#send(method, path, withTimeout({ ...options, ...(headers && { headers }) }));
    const text = await response.text().catch((error: unknown) => {
      throw noAnswerFrom(this.server, error);
    });
    return schema.parse(text === "" ? undefined : JSON.parse(text));
  }

  async #send(method: string, path: string, options: SendOptions): Promise<Response> {
    const { url, token, trust } = this.#endpoint();
    const target = new URL(`/api/v1${path}`, url);
    for (const [name, value] of Object.entries(options.query ?? {})) {
      for (const one of value === undefined ? [] : [value].flat()) target.searchParams.append(name, String(one));
    }
    const request = {
      method,
      headers: { authorization: `Bearer ${token}`, "user-agent": this.#userAgent, ...options.headers },
      ...(options.body === undefined ? {} : { body: options.body, duplex: "half" as const }),
      ...(options.signal ? { signal: options.signal } : {}),
    };
    for (let asked = 1; ; asked++) {
      try {
        const response = await this.#secure.fetch(target, trust, request);
        if (response.ok) return response;
        const waitMs = isRepeatable(options.body) && asked < ASKED_MAX ? retryAfterMs(response) : null;
        if (waitMs === null) throw await errorOf(response);
        await response.body?.cancel();
        await sleep(waitMs, undefined, options.signal ? { signal: options.signal } : {});
      } catch (error) {
        if (error instanceof BerthError) throw error;
        // The caller's own abort is no news about the server.
        if (options.signal?.aborted && !isTimeout(options.signal.reason)) throw error;
        throw noAnswerFrom(url, error);
      }
    }
  }
}

/** A stream has been read once it was sent. */
function isRepeatable(body: Body | undefined): boolean {
  return body === undefined || typeof body === "string";
}

/** How long the server asks to be left alone, where that is worth waiting for. */
function retryAfterMs({ status, headers }: Response): number | null {
  const seconds = Number(headers.get("retry-after"));
  return status === 429 && seconds > 0 && seconds <= RETRY_AFTER_MAX_SECONDS ? seconds * 1000 : null;
}

interface SendOptions extends RequestOptions {
  readonly body?: Body;
}

function withTimeout<T extends RequestOptions>(options: T): T {
  const timeout = AbortSignal.timeout(options.timeoutMs ?? REQUEST_TIMEOUT_MS);
  return { ...options, signal: options.signal ? AbortSignal.any([options.signal, timeout]) : timeout };
}

function isTimeout(reason: unknown): boolean {
  return reason instanceof DOMException && reason.name === "TimeoutError";
}

async function errorOf(response: Response): Promise<Error> {
  const text = await response.text().catch(() => "");
  const parsed = ErrorBody.safeParse(parseOrNull(text));
  if (!parsed.success) {
    return new BerthError(
      "internal",
      `${new URL(response.url).origin} answered ${response.status} in a form that Berth does not use.`,
      { advice: "Check that this address is a Berth server and not a proxy in front of it." },
    );
  }
  const { code, message, advice, problems, details } = parsed.data.error;
  return new BerthError(code, message, {
    ...(advice === undefined ? {} : { advice }),
    ...(problems === undefined ? {} : { problems }),
    ...(details === undefined ? {} : { details }),
  });
}

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
