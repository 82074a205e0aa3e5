import type { Readable } from "node:stream";
import type { DirectRequest } from "../../protocol/transfers.ts";
import {
  ConnectionError,
  type ConnectionPool,
  connectionPool,
  type Deadlines,
  type HttpAnswer,
  readBody,
  sendRequest,
} from "../http-request.ts";

/** No total deadline worth naming: a part at any speed, as long as bytes flow. */
const TRANSFER: Deadlines = { connectMs: 5_000, idleMs: 30_000, totalMs: 60 * 60_000 };

/**
 * The object store did not do what a signed request asks for. Its words name the store by its address alone: whoever has
 * the rest of a signed address can use it.
 */
export class StoreRefusal extends Error {
  override readonly name = "StoreRefusal";
  /** Null when nothing came. */
  readonly status: number | null;

  constructor(url: URL, status: number | null, why: string, cause?: unknown) {
    super(`the object store at ${url.host} ${why}`, cause === undefined ? {} : { cause });
    this.status = status;
  }
}

/** Connections to object stores, kept open between requests; one pool for each address. */
export class StoreConnections implements Disposable {
  readonly #pools = new Map<string, ConnectionPool>();

  /** Sends a request with this body, and makes sure that the store did it. */
  async put(request: DirectRequest, body: Readable | Uint8Array, signal: AbortSignal): Promise<void> {
    const answer = await this.#send(request, request.headers, body, signal);
    const url = new URL(request.url);
    const text = await this.#text(request, answer, signal);
    if (answer.status < 200 || answer.status > 299) throw refusal(url, answer.status, text);
  }

  /** Opens bytes `start` up to `end`, which is not included. */
  async get(request: DirectRequest, start: number, end: number, signal: AbortSignal): Promise<Readable> {
    const headers = { ...request.headers, range: `bytes=${start}-${end - 1}` };
    const answer = await this.#send(request, headers, undefined, signal);
    if (answer.status === 206) return answer.body;
    const url = new URL(request.url);
    if (answer.status < 300) {
      answer.body.destroy();
      throw new StoreRefusal(url, answer.status, "does not answer with the part that it was asked for");
    }
    throw refusal(url, answer.status, await this.#text(request, answer, signal));
  }

  [Symbol.dispose](): void {
    for (const pool of this.#pools.values()) pool.destroy();
    this.#pools.clear();
  }

  async #send(
    request: DirectRequest,
    headers: DirectRequest["headers"],
    body: Readable | Uint8Array | undefined,
    signal: AbortSignal,
  ): Promise<HttpAnswer> {
    const url = new URL(request.url);
    const pool = this.#pools.get(url.origin) ?? connectionPool(url);
    this.#pools.set(url.origin, pool);
    const sent = { method: request.method, url, headers, deadlines: TRANSFER, signal };
    try {
      return await sendRequest(pool, body === undefined ? sent : { ...sent, body });
    } catch (error) {
      throw unreachable(url, error);
    }
  }

  async #text({ url: address, method }: DirectRequest, answer: HttpAnswer, signal: AbortSignal): Promise<string> {
    const url = new URL(address);
    const body = await readBody({ method, url, headers: {}, deadlines: TRANSFER, signal }, answer).catch((error) => {
      throw unreachable(url, error);
    });
    return body.subarray(0, 4_096).toString("utf8");
  }
}

function unreachable(url: URL, error: unknown): unknown {
  if (!(error instanceof ConnectionError)) return error;
  const { cause } = error;
  return new StoreRefusal(url, null, `cannot be reached: ${cause instanceof Error ? cause.message : String(cause)}`);
}

/** Stores say what is wrong in XML, of which the code is worth repeating. */
function refusal(url: URL, status: number, body: string): StoreRefusal {
  const code = /<Code>([A-Za-z]{1,60})<\/Code>/.exec(body)?.[1];
  return new StoreRefusal(url, status, `answered ${status}${code === undefined ? "" : ` ${code}`}`);
}
