import http from "node:http";

/** How an engine answered: `denied` means that it is there, but not for this user. */
export type EngineAnswer = "ok" | "denied" | "absent";

const PING_TIMEOUT_MS = 3_000;
const DEFAULT_SOCKET = "/var/run/docker.sock";

/** Enough of Docker's API to prepare a demo. The backend that runs steps has its own connection. */
export class DockerEngine {
  readonly #connection: http.RequestOptions;

  constructor(env: Readonly<Record<string, string | undefined>>) {
    this.#connection = connectionOf(env.DOCKER_HOST ?? "");
  }

  async ping(): Promise<EngineAnswer> {
    try {
      const { status } = await this.#request("GET", "/_ping", { signal: AbortSignal.timeout(PING_TIMEOUT_MS) });
      return status === 200 ? "ok" : "absent";
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      return code === "EACCES" || code === "EPERM" ? "denied" : "absent";
    }
  }

  async hasImage(image: string): Promise<boolean> {
    const { status } = await this.#request("GET", `/images/${image}/json`);
    return status === 200;
  }

  /**
   * Pulls an image and says whether it is there now. The engine answers as soon as the registry does, which has to be
   * within `reachMs`; the rest of the pull has until `totalMs`.
   */
  async pull(repository: string, tag: string, limits: { reachMs: number; totalMs: number }): Promise<boolean> {
    const path = `/images/create?fromImage=${encodeURIComponent(repository)}&tag=${encodeURIComponent(tag)}`;
    const unreached = new AbortController();
    const timer = setTimeout(() => unreached.abort(), limits.reachMs);
    try {
      const signal = AbortSignal.any([unreached.signal, AbortSignal.timeout(limits.totalMs)]);
      await this.#request("POST", path, { signal, onAnswer: () => clearTimeout(timer) });
    } catch {
      return false;
    } finally {
      clearTimeout(timer);
    }
    return this.hasImage(`${repository}:${tag}`);
  }

  /** Makes an image of a root file system that comes as a tar stream. */
  async importImage(
    repository: string,
    tag: string,
    tar: NodeJS.ReadableStream,
    changes: readonly string[],
  ): Promise<void> {
    const query = new URLSearchParams({ fromSrc: "-", repo: repository, tag });
    for (const change of changes) query.append("changes", change);
    const { status, text } = await this.#request("POST", `/images/create?${query.toString()}`, { body: tar });
    if (status !== 200) throw new Error(`Docker Engine refused to import the image: ${text}`);
  }

  /** Gives an image another tag in place of the one it has. */
  async renameImage(from: string, repository: string, tag: string): Promise<void> {
    const query = new URLSearchParams({ repo: repository, tag });
    const { status, text } = await this.#request("POST", `/images/${from}/tag?${query.toString()}`);
    if (status !== 201) throw new Error(`Docker Engine refused to tag the image: ${text}`);
    await this.#request("DELETE", `/images/${from}?noprune=true`);
  }

  #request(method: string, path: string, options: RequestBody = {}): Promise<{ status: number; text: string }> {
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
    const request = http.request({
      ...this.#connection,
      method,
      path,
      ...(options.signal && { signal: options.signal }),
    });
    request.on("response", (response) => {
      options.onAnswer?.();
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text = (text + chunk).slice(-4096);
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      response.on("error", reject);
    });
    request.on("error", reject);
    if (options.body === undefined) request.end();
    else options.body.pipe(request);
    return promise;
  }
}

interface RequestBody {
  readonly signal?: AbortSignal;
  /** Called when the headers of the answer are there. */
  readonly onAnswer?: () => void;
  readonly body?: NodeJS.ReadableStream;
}

function connectionOf(dockerHost: string): http.RequestOptions {
  const tcp = /^tcp:\/\/([^:/]+):(\d+)/.exec(dockerHost);
  if (tcp !== null) return { host: tcp[1]!, port: Number(tcp[2]) };
  return { socketPath: dockerHost.startsWith("unix://") ? dockerHost.slice("unix://".length) : DEFAULT_SOCKET };
}
