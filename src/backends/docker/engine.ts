import type { Duplex, Readable } from "node:stream";
import type { EngineAddress } from "./engine-address.ts";
import { EngineClient, type EngineRequest } from "./engine-client.ts";
import { EngineError } from "./engine-error.ts";
import type {
  CreatedContainer,
  EngineInfo,
  EngineStats,
  EngineVersion,
  InspectedContainer,
  InspectedImage,
  ListedContainer,
  ListedImage,
} from "./engine-types.ts";

/** The versions that this code was written for and tried with; in between, the newest that the engine knows. */
const API_OLDEST = "1.41";
const API_NEWEST = "1.47";

/** The calls of the Engine API that Berth uses, by name. They throw EngineError and EngineUnreachableError. */
export class Engine implements Disposable {
  readonly #client: EngineClient;

  constructor(address: EngineAddress) {
    this.#client = new EngineClient(address);
  }

  /** Agrees on a version of the API; until then calls use the engine's own. */
  async negotiate(signal?: AbortSignal): Promise<EngineVersion> {
    const version = await this.#client.call<EngineVersion>("GET", "/version", { signal });
    if (isOlder(version.ApiVersion, API_OLDEST)) {
      throw new EngineError(
        400,
        `Docker Engine ${version.Version} is too old: Berth needs API ${API_OLDEST} (20.10) or newer.`,
      );
    }
    const wanted = isOlder(version.ApiVersion, API_NEWEST) ? version.ApiVersion : API_NEWEST;
    const least = version.MinAPIVersion ?? API_OLDEST;
    this.#client.useVersion(isOlder(wanted, least) ? least : wanted);
    return version;
  }

  info(signal?: AbortSignal): Promise<EngineInfo> {
    return this.#client.call("GET", "/info", { signal });
  }

  async ping(timeoutMs: number, signal?: AbortSignal): Promise<void> {
    await this.#client.call("GET", "/_ping", { timeoutMs, signal });
  }

  createContainer(name: string, config: object): Promise<CreatedContainer> {
    return this.#client.call("POST", "/containers/create", { query: { name }, body: config });
  }

  /** Both ways: what is written is the container's input, what is read its output. Attach before the start. */
  attachContainer(name: string): Promise<Duplex> {
    const query = { stream: true, stdin: true, stdout: true, stderr: true };
    return this.#client.converse(`/containers/${name}/attach`, query);
  }

  resizeContainer(name: string, size: { readonly columns: number; readonly rows: number }): Promise<void> {
    return this.#client.call("POST", `/containers/${name}/resize`, { query: { w: size.columns, h: size.rows } });
  }

  /** Returns although it runs already; runs an exited container again, so look first. */
  startContainer(name: string): Promise<void> {
    return this.#client.call("POST", `/containers/${name}/start`);
  }

  /** With `size`, the engine walks through the container's layer to tell how much it holds. */
  inspectContainer(name: string, query: { readonly size?: boolean } = {}): Promise<InspectedContainer> {
    return this.#client.call("GET", `/containers/${name}/json`, { query });
  }

  killContainer(name: string, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    return this.#client.call("POST", `/containers/${name}/kill`, { query: { signal } });
  }

  /** With its anonymous volumes, running or not. */
  removeContainer(name: string): Promise<void> {
    return this.#client.call("DELETE", `/containers/${name}`, { query: { force: true, v: true } });
  }

  /** Resolves when the container is not running; at once too when it never did. */
  async waitContainer(name: string, timeoutMs: number): Promise<void> {
    await this.#client.call("POST", `/containers/${name}/wait`, { timeoutMs });
  }

  listContainers(labels: readonly string[]): Promise<ListedContainer[]> {
    return this.#client.call("GET", "/containers/json", { query: { all: true, filters: { label: labels } } });
  }

  statsOfContainer(name: string): Promise<EngineStats> {
    return this.#client.call("GET", `/containers/${name}/stats`, { query: { stream: false, "one-shot": true } });
  }

  /** Those that have a name, or had one that moved on. */
  listImages(): Promise<ListedImage[]> {
    return this.#client.call("GET", "/images/json");
  }

  inspectImage(image: string): Promise<InspectedImage> {
    return this.#client.call("GET", `/images/${image}/json`);
  }

  /** That image alone: what it was made from stays. Refused with 409 while something needs it. */
  removeImage(image: string): Promise<void> {
    return this.#client.call("DELETE", `/images/${image}`, { query: { noprune: true } });
  }

  pullImage(image: string, registryAuth: string | null, signal: AbortSignal): Promise<Readable> {
    const headers = registryAuth === null ? {} : { "x-registry-auth": registryAuth };
    // Without a tag the API would pull every tag there is.
    const query = /(@sha256:|:[^/]+$)/.test(image) ? { fromImage: image } : { fromImage: image, tag: "latest" };
    return this.#client.stream("POST", "/images/create", { query, headers, signal });
  }

  importImage(
    tar: Readable,
    query: { readonly repo: string; readonly tag: string; readonly changes: string },
  ): Promise<Readable> {
    return this.#client.stream("POST", "/images/create", { query: { fromSrc: "-", ...query }, body: tar });
  }

  buildImage(
    /** As a tar archive; null where the builder gets it over a session. */
    context: Readable | null,
    query: EngineRequest["query"] & object,
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<Readable> {
    return this.#client.stream("POST", "/build", {
      query,
      headers,
      signal,
      ...(context !== null && { body: context }),
    });
  }

  /** A connection over which the builder calls these methods (gRPC, HTTP/2) of whoever opened it. */
  openSession(id: string, methods: string[]): Promise<Duplex> {
    return this.#client.converse("/session", undefined, {
      upgrade: "h2c",
      "x-docker-expose-session-uuid": id,
      "x-docker-expose-session-name": "berth",
      // Builders take files of the same size and time of another session with the same key for the same files.
      "x-docker-expose-session-sharedkey": id,
      "x-docker-expose-session-grpc-method": methods,
    });
  }

  /** Events of containers with this label, as they happen. */
  events(label: string, signal: AbortSignal): Promise<Readable> {
    const filters = { type: ["container"], label: [label] };
    return this.#client.stream("GET", "/events", { query: { filters }, signal });
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }
}

function isOlder(a: string, b: string): boolean {
  const [aMajor = 0, aMinor = 0] = a.split(".").map(Number);
  const [bMajor = 0, bMinor = 0] = b.split(".").map(Number);
  return aMajor < bMajor || (aMajor === bMajor && aMinor < bMinor);
}
