import { setTimeout as sleep } from "node:timers/promises";

/** How long a request is tried again on one replica after the other: they are killed all the time. */
const PATIENCE_MS = 120_000;
const ATTEMPT_TIMEOUT_MS = 10_000;
const RETRY_INTERVAL_MS = 250;

/** The public API on several replicas: a request that one does not answer is asked of the next. */
export class ChaosApi {
  readonly #urls: readonly string[];
  readonly #token: string;
  #next = 0;

  constructor(urls: readonly string[], token: string) {
    this.#urls = urls;
    this.#token = token;
  }

  get<T>(path: string): Promise<T> {
    return this.#request("GET", path).then((answer) => answer.json() as Promise<T>);
  }

  text(path: string, accept = "*/*"): Promise<string> {
    return this.#request("GET", path, { accept }).then((answer) => answer.text());
  }

  /** `timeoutMs` is for what takes long where it works. */
  post<T>(path: string, body: unknown, timeoutMs = ATTEMPT_TIMEOUT_MS): Promise<T> {
    return this.#request("POST", path, { body, timeoutMs }).then((answer) => answer.json() as Promise<T>);
  }

  async #request(
    method: string,
    path: string,
    {
      body,
      accept = "*/*",
      timeoutMs = ATTEMPT_TIMEOUT_MS,
    }: { readonly body?: unknown; readonly accept?: string; readonly timeoutMs?: number } = {},
  ): Promise<Response> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const url = this.#urls[this.#next++ % this.#urls.length]!;
      const answer = await fetch(`${url}/api/v1${path}`, {
        method,
        headers: {
          authorization: `Bearer ${this.#token}`,
          accept,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(timeoutMs),
      }).then(readWhole, (error: Error) => error);
      if (answer instanceof Response && answer.ok) return answer;
      // A run that ended before its cancel came is an answer, not a failure.
      if (answer instanceof Response && answer.status === 409) return answer;
      const isPassing = answer instanceof Error || answer.status >= 500;
      if (!isPassing || performance.now() > deadline) {
        throw new Error(
          `${method} ${path}: ${answer instanceof Error ? answer.message : `${answer.status} ${await answer.text()}`}`,
        );
      }
      await sleep(RETRY_INTERVAL_MS);
    }
  }
}

/** With its body: the server may die in the middle of it. */
async function readWhole(answer: Response): Promise<Response> {
  return new Response(await answer.arrayBuffer(), { status: answer.status });
}
