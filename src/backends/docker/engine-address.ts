import { existsSync, readFileSync } from "node:fs";
import type { RequestOptions } from "node:https";
import { homedir } from "node:os";
import { join } from "node:path";

/** Where an engine listens, as options for `node:http`. */
export interface EngineAddress {
  /** For people. */
  readonly text: string;
  readonly tls: boolean;
  readonly options: Pick<RequestOptions, "socketPath" | "hostname" | "port" | "ca" | "cert" | "key">;
}

/** The socket of a system-wide engine, or that of Docker Desktop and of rootless engines. */
const SYSTEM_SOCKET = "/var/run/docker.sock";

/**
 * The engine's address as the docker command finds it: `host` (from the agent's settings), else `DOCKER_HOST`, else the
 * first well-known socket that exists. Throws a plain Error, for people, on an address that cannot be used.
 */
export function engineAddress(host: string | undefined, environment: NodeJS.ProcessEnv): EngineAddress {
  const text = host ?? (environment.DOCKER_HOST || defaultSocket(environment));
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol === "unix:") return { text, tls: false, options: { socketPath: url.pathname } };
  if (url?.protocol !== "tcp:" && url?.protocol !== "http:" && url?.protocol !== "https:") {
    throw new Error(
      `The engine's address ${text} cannot be used; give unix:///path/to/docker.sock or tcp://host:port.`,
    );
  }
  const tls = url.protocol === "https:" || (environment.DOCKER_TLS_VERIFY ?? "") !== "";
  const hostname = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const port = url.port === "" ? (tls ? "2376" : "2375") : url.port;
  return { text, tls, options: { hostname, port, ...(tls ? certificates(environment) : {}) } };
}

function defaultSocket(environment: NodeJS.ProcessEnv): string {
  const candidates = [
    SYSTEM_SOCKET,
    ...(environment.XDG_RUNTIME_DIR ? [join(environment.XDG_RUNTIME_DIR, "docker.sock")] : []),
    join(homedir(), ".docker/run/docker.sock"),
  ];
  return `unix://${candidates.find((path) => existsSync(path)) ?? SYSTEM_SOCKET}`;
}

function certificates(environment: NodeJS.ProcessEnv) {
  const folder = environment.DOCKER_CERT_PATH || join(homedir(), ".docker");
  const read = (name: string) => readFileSync(join(folder, name));
  return { ca: read("ca.pem"), cert: read("cert.pem"), key: read("key.pem") };
}
